"""Sends requests to a llama.cpp server, as many at once as it has slots, and prints what it took as one line of JSON.

server.py LLAMA_SERVER MODEL.gguf REQUESTS.jsonl SLOTS THREADS CONTEXT_TOKENS

A line of REQUESTS has `content` (what the user says), `samples`, `max_tokens`, `temperature` and `top_p`. Each sample is a
request of its own; the server keeps the prompts it has read and begins a request in the slot that shares most with it. Each
slot has its own part of the cache: one cache for all of them (`-kvu`) took 1.6 times as long.
"""

import concurrent.futures
import http.client
import json
import subprocess
import sys
import time

binary, model, requests_path, slots, threads, context = sys.argv[1:]
port = 18_000 + int(time.time() * 10) % 10_000
server = subprocess.Popen(
    [binary, "-m", model, "--port", str(port), "-np", slots, "-t", threads, "-c", context, "--no-webui"],
    stdout=subprocess.DEVNULL,
    stderr=subprocess.DEVNULL,
)


def ask(path, body=None):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=3600)
    headers = {"Content-Type": "application/json"}
    connection.request("POST" if body else "GET", path, json.dumps(body) if body else None, headers)
    response = connection.getresponse()
    content = response.read()
    if response.status != 200:
        raise OSError(f"{path}: {response.status} {content[:200]}")
    return json.loads(content)


def wait_until_ready():
    for _ in range(600):
        try:
            return ask("/health")
        except OSError:
            if server.poll() is not None:
                sys.exit(f"{binary} ended with {server.returncode}")
            time.sleep(0.1)
    sys.exit(f"{binary} did not become ready in a minute")


def complete(request):
    return ask(
        "/v1/chat/completions",
        {
            "messages": [{"role": "user", "content": request["content"]}],
            "max_tokens": request["max_tokens"],
            "temperature": request["temperature"],
            "top_p": request["top_p"],
            "top_k": 0,
            "min_p": 0,
            "cache_prompt": True,
        },
    )["usage"]


try:
    wait_until_ready()
    with open(requests_path) as file:
        requests = [json.loads(line) for line in file]
    samples = [request for request in requests for _ in range(request["samples"])]
    start = time.perf_counter()
    with concurrent.futures.ThreadPoolExecutor(int(slots)) as pool:
        usages = list(pool.map(complete, samples))
    seconds = time.perf_counter() - start
finally:
    server.kill()

print(
    json.dumps(
        {
            "seconds": seconds,
            "prompt_tokens": sum(usage["prompt_tokens"] for usage in usages),
            "generated": sum(usage["completion_tokens"] for usage in usages),
        }
    )
)
