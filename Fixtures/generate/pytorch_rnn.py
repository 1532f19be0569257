"""State dicts of PyTorch's recurrent modules: run with the interpreter of requirements-transformers5.txt."""

import sys

sys.dont_write_bytecode = True

import numpy as np
import torch
from safetensors.torch import save_file

import common

FOLDER = common.FIXTURES / "pytorch_rnn"
FRAMEWORK = f"torch {torch.__version__.split('+')[0]}"
nn = torch.nn


class Chain(nn.Module):
    """Modules one after the other, under names of their own."""

    def __init__(self, **modules):
        super().__init__()
        for name, module in modules.items():
            self.add_module(name, module)

    def forward(self, x):
        for module in self.children():
            x, _ = module(x)
        return (x,)


def options(**more):
    return {"batch_first": True, **more}


CASES = {
    "pytorch_lstm": lambda: nn.LSTM(3, 5, **options()),
    "pytorch_lstm_bidirectional": lambda: nn.LSTM(4, 6, num_layers=3, bidirectional=True, **options()),
    "pytorch_lstm_no_bias": lambda: nn.LSTM(3, 4, num_layers=2, bias=False, **options()),
    "pytorch_lstm_deep": lambda: nn.LSTM(3, 4, num_layers=12, **options()),
    "pytorch_gru": lambda: nn.GRU(5, 4, **options()),
    "pytorch_gru_bidirectional": lambda: nn.GRU(3, 5, num_layers=2, bidirectional=True, **options()),
    "pytorch_rnn_tanh": lambda: nn.RNN(3, 6, num_layers=2, **options()),
    "pytorch_prefix": lambda: Chain(encoder=nn.LSTM(3, 5, bidirectional=True, **options())),
    "pytorch_chain": lambda: Chain(first=nn.GRU(3, 5, **options()), second=nn.LSTM(5, 4, num_layers=2, **options()), third=nn.RNN(4, 7, **options())),
}


def main():
    FOLDER.mkdir(exist_ok=True)
    torch.set_num_threads(1)
    rows = []
    for name, make in CASES.items():
        rng = common.rng_for(name)
        module = make().eval()
        with torch.no_grad():
            for parameter in module.parameters():
                parameter.copy_(torch.from_numpy(common.floats(rng, *parameter.shape, scale=0.4)))
            first = next(m for m in module.modules() if isinstance(m, nn.RNNBase))
            x = common.floats(rng, 3, 7, first.input_size)
            y = module(torch.from_numpy(x))[0].numpy()
        path = FOLDER / f"{name}.safetensors"
        save_file({k: v.contiguous() for k, v in module.state_dict().items()}, path, metadata={"format": "pt"})
        paths = common.write_expected(name, {"input": x}, {"output": np.ascontiguousarray(y)})
        kinds = sorted({type(m).__name__ for m in module.modules() if isinstance(m, nn.RNNBase)})
        rows.append(common.row(name, path, FRAMEWORK, "pytorch-rnn", *paths, kinds))
    common.merge_manifest(rows, lambda row: row["path"].startswith("pytorch_rnn/"))


if __name__ == "__main__":
    main()
