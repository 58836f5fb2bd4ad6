"""Trains with TRL on the CPU, as a user of it would, and prints what it took as one line of JSON.

train.py MODEL DATA.jsonl sft|dpo float32|bfloat16 BATCH MAX_LENGTH THREADS

MODEL is a Hugging Face folder. Rows of DATA have `prompt` and `response`, or `prompt`, `chosen` and `rejected`.
"""

import json
import sys
import tempfile
import time

import torch
import transformers
from datasets import Dataset
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl import DPOConfig, DPOTrainer, SFTConfig, SFTTrainer

model_path, data_path, kind, precision, batch, max_length, threads = sys.argv[1:]
torch.set_num_threads(int(threads))
transformers.logging.set_verbosity_error()

tokenizer = AutoTokenizer.from_pretrained(model_path)
model = AutoModelForCausalLM.from_pretrained(model_path, dtype=torch.float32)


def turn(role, text):
    return [{"role": role, "content": text}]


def row(record):
    prompt = turn("user", record["prompt"])
    if kind == "sft":
        return {"prompt": prompt, "completion": turn("assistant", record["response"])}
    return {
        "prompt": prompt,
        "chosen": turn("assistant", record["chosen"]),
        "rejected": turn("assistant", record["rejected"]),
    }


with open(data_path) as file:
    records = [json.loads(line) for line in file]
dataset = Dataset.from_list([row(record) for record in records])


with tempfile.TemporaryDirectory() as folder:
    settings = dict(
        output_dir=folder,
        per_device_train_batch_size=int(batch),
        num_train_epochs=1,
        learning_rate=1e-5,
        use_cpu=True,
        bf16=precision == "bfloat16",
        gradient_checkpointing=False,
        report_to=[],
        save_strategy="no",
        logging_strategy="no",
        disable_tqdm=True,
        max_length=int(max_length),
    )
    if kind == "sft":
        trainer = SFTTrainer(
            model=model,
            args=SFTConfig(completion_only_loss=True, **settings),
            train_dataset=dataset,
            processing_class=tokenizer,
        )
    else:
        trainer = DPOTrainer(
            model=model,
            args=DPOConfig(precompute_ref_log_probs=True, **settings),
            train_dataset=dataset,
            processing_class=tokenizer,
        )
    began = time.perf_counter()
    trainer.train()
    seconds = time.perf_counter() - began

print(json.dumps({"seconds": seconds, "examples": len(records)}))
