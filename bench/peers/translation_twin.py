"""The translation model in PyTorch: the same sizes, first values, batches and optimiser.

`attention train --save-initial FILE` (or any weights file of the program) gives the first values,
and a safetensors file of batches gives what it learns from: source.N, lengths.N, given.N and
wanted.N, int64, for the steps N = 0, 1, ... Prints one line a step: its number and its loss.

  translation_twin.py INITIAL BATCHES --steps 50 --total 600 --lr 0.005 [--losses FILE]

With --losses, a file of one regrad loss a line, it ends with the largest difference, and with exit
status 1 where that is above 1e-4.
"""
import argparse
import math
import sys

import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch import nn

PAD = 0


class Twin(nn.Module):
    """nn::Seq2Seq with a GRU and the additive score; parameters have the same names."""

    def __init__(self, source, target, embedding, hidden):
        super().__init__()
        self.source_embedding = nn.Embedding(source, embedding, padding_idx=PAD)
        self.target_embedding = nn.Embedding(target, embedding, padding_idx=PAD)
        self.encoder = nn.GRU(embedding, hidden, batch_first=True, bidirectional=True)
        self.memory = nn.Linear(2 * hidden, hidden)
        self.bridge = nn.Linear(2 * hidden, hidden)
        self.score = nn.ModuleDict({
            "query": nn.Linear(hidden, hidden),
            "key": nn.Linear(hidden, hidden, bias=False),
            "energy": nn.Linear(hidden, 1, bias=False)})
        self.decoder = nn.GRUCell(embedding + hidden, hidden)
        self.output = nn.Linear(2 * hidden, target)

    def forward(self, source, lengths, given):
        packed = nn.utils.rnn.pack_padded_sequence(
            self.source_embedding(source), lengths, batch_first=True, enforce_sorted=False)
        states, last = self.encoder(packed)
        states, _ = nn.utils.rnn.pad_packed_sequence(
            states, batch_first=True, total_length=source.shape[1])
        memory = self.memory(states)
        keys = self.score["key"](memory)
        outside = torch.arange(source.shape[1])[None] >= lengths[:, None]
        hidden = torch.tanh(self.bridge(torch.cat([last[0], last[1]], 1)))
        read = []
        for embedded in self.target_embedding(given).unbind(1):
            energy = torch.tanh(self.score["query"](hidden)[:, None] + keys)
            scores = self.score["energy"](energy).squeeze(2)
            weights = scores.masked_fill(outside, -math.inf).softmax(1)
            context = torch.bmm(weights[:, None], memory).squeeze(1)
            hidden = self.decoder(torch.cat([embedded, context], 1), hidden)
            read.append(torch.cat([hidden, context], 1))
        return self.output(torch.stack(read, 1))


def rate_factor(step, total):
    """As the program's: up over the first 5 %, then down along half a cosine."""
    warmup = max(1.0, 0.05 * total)
    done = step + 0.5
    if done < warmup:
        return done / warmup
    return 0.5 * (1 + math.cos(math.pi * (done - warmup) / max(1.0, total - warmup)))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("initial")
    parser.add_argument("batches")
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--total", type=int, default=600, help="the steps that the schedule is for")
    parser.add_argument("--lr", type=float, default=5e-3)
    parser.add_argument("--clip", type=float, default=1.0)
    parser.add_argument("--smoothing", type=float, default=0.0)
    parser.add_argument("--losses", help="regrad's loss of each step, one a line")
    arguments = parser.parse_args()

    with safe_open(arguments.initial, "pt") as file:
        metadata = file.metadata()
    weights = load_file(arguments.initial)
    twin = Twin(weights["source_embedding.weight"].shape[0],
                weights["target_embedding.weight"].shape[0],
                int(metadata["embedding"]), int(metadata["hidden"]))
    twin.load_state_dict(weights)
    batches = load_file(arguments.batches)
    criterion = nn.CrossEntropyLoss(ignore_index=PAD, label_smoothing=arguments.smoothing)
    adam = torch.optim.Adam(twin.parameters(), lr=arguments.lr)
    losses = []
    for step in range(arguments.steps):
        for group in adam.param_groups:
            group["lr"] = arguments.lr * rate_factor(step, arguments.total)
        logits = twin(batches[f"source.{step}"], batches[f"lengths.{step}"],
                      batches[f"given.{step}"])
        loss = criterion(logits.flatten(0, 1), batches[f"wanted.{step}"].flatten())
        adam.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(twin.parameters(), arguments.clip)
        adam.step()
        losses.append(loss.item())
        print(step, f"{losses[-1]:.7f}", flush=True)
    if not arguments.losses:
        return 0
    with open(arguments.losses, encoding="utf-8") as file:
        ours = [float(line) for line in file][:len(losses)]
    if len(ours) < len(losses):
        sys.exit(f"{arguments.losses}: {len(ours)} losses; {len(losses)} are needed")
    largest = max(abs(a - b) for a, b in zip(ours, losses))
    print(f"largest difference over {len(losses)} steps: {largest:.3g}")
    return 0 if largest <= 1e-4 else 1


if __name__ == "__main__":
    torch.set_num_threads(1)
    sys.exit(main())
