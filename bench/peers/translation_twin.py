"""The translation model in PyTorch: the same sizes, first values, batches and optimiser.

`translation_steps DIR` wrote DIR: the first values, the batches of a whole run of the program and
its first losses. Prints one line a step: its number and its loss.

  translation_twin.py DIR               the first losses side by side; exit status 1 where they
                                        differ by more than 1e-4
  translation_twin.py DIR --whole       the whole run; writes DIR/twin.safetensors, which
                                        `attention evaluate --weights` reads as its own
"""
import argparse
import math
import pathlib
import sys

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import nn

PAD = 0


class Twin(nn.Module):
    """nn::Seq2Seq with a GRU and the additive score; parameters have the same names."""

    def __init__(self, source, target, embedding, hidden, dropout):
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
        self.readout = nn.Linear(2 * hidden, embedding)
        self.output = nn.Linear(embedding, target)
        self.dropout = nn.Dropout(dropout)

    def forward(self, source, lengths, given):
        packed = nn.utils.rnn.pack_padded_sequence(
            self.dropout(self.source_embedding(source)), lengths, batch_first=True, enforce_sorted=False)
        states, last = self.encoder(packed)
        states, _ = nn.utils.rnn.pad_packed_sequence(
            states, batch_first=True, total_length=source.shape[1])
        memory = self.memory(states)
        keys = self.score["key"](memory)
        outside = torch.arange(source.shape[1])[None] >= lengths[:, None]
        hidden = torch.tanh(self.bridge(torch.cat([last[0], last[1]], 1)))
        read = []
        for embedded in self.dropout(self.target_embedding(given)).unbind(1):
            energy = torch.tanh(self.score["query"](hidden)[:, None] + keys)
            scores = self.score["energy"](energy).squeeze(2)
            weights = scores.masked_fill(outside, -math.inf).softmax(1)
            context = torch.bmm(weights[:, None], memory).squeeze(1)
            hidden = self.decoder(torch.cat([embedded, context], 1), hidden)
            read.append(torch.cat([hidden, context], 1))
        return self.output(self.dropout(torch.tanh(self.readout(torch.stack(read, 1)))))


def rate_factor(step, total):
    """As the program's: up over the first 5 %, then down along half a cosine."""
    warmup = max(1, total // 20)
    if step + 1 <= warmup:
        return (step + 1) / warmup
    return 0.5 * (1 + math.cos(math.pi * (step + 1 - warmup) / (total + 1 - warmup)))


def train(twin, batches, steps, settings):
    lr, clip, smoothing, total = settings
    criterion = nn.CrossEntropyLoss(ignore_index=PAD, label_smoothing=smoothing)
    adam = torch.optim.Adam(twin.parameters(), lr=lr)
    losses = []
    for step in range(steps):
        for group in adam.param_groups:
            group["lr"] = lr * rate_factor(step, total)
        logits = twin(batches[f"source.{step}"], batches[f"lengths.{step}"],
                      batches[f"given.{step}"])
        loss = criterion(logits.flatten(0, 1), batches[f"wanted.{step}"].flatten())
        adam.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(twin.parameters(), clip)
        adam.step()
        losses.append(loss.item())
        print(step, f"{losses[-1]:.7f}", flush=True)
    return losses


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("directory", type=pathlib.Path)
    parser.add_argument("--whole", action="store_true", help="train to the end")
    parser.add_argument("--dropout", type=float, default=0.0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1, help="of dropout")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(arguments.seed)

    initial = arguments.directory / "initial.safetensors"
    with safe_open(initial, "pt") as file:
        metadata = file.metadata()
    weights = load_file(initial)
    twin = Twin(weights["source_embedding.weight"].shape[0],
                weights["target_embedding.weight"].shape[0],
                int(metadata["embedding"]), int(metadata["hidden"]), arguments.dropout)
    twin.load_state_dict(weights)
    batches = load_file(arguments.directory / "batches.safetensors")
    settings = batches.pop("training").tolist()
    if arguments.whole:
        train(twin, batches, int(settings[3]), settings)
        save_file(twin.state_dict(), arguments.directory / "twin.safetensors", metadata)
        return 0
    ours = [float(line) for line in (arguments.directory / "losses.txt").read_text().split()]
    losses = train(twin, batches, len(ours), settings)
    largest = max(abs(a - b) for a, b in zip(ours, losses))
    print(f"largest difference over {len(losses)} steps: {largest:.3g}")
    return 0 if largest <= 1e-4 else 1


if __name__ == "__main__":
    sys.exit(main())
