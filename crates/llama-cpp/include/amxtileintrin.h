/* GCC's header of this name, with what its first versions lack: before 11.5, 12.4 and 13.3 `_tile_loadconfig` does not say that it
   reads all 64 bytes of the configuration, and the compiler drops what was written to most of them (GCC PR 114098). On processors
   with AMX llama.cpp then crashes on quantised weights (ggml-org/llama.cpp#20824). `.cargo/config.toml` puts this before it. */
#include_next <amxtileintrin.h>

#if defined(__GNUC__) && !defined(__clang__)
#define _tile_loadconfig(config)                                        \
    __extension__({                                                     \
        const void *config_ = (config);                                 \
        __asm__ volatile("" : : "r"(config_) : "memory");               \
        (_tile_loadconfig)(config_);                                    \
    })
#endif
