#!/usr/bin/env python3
"""transformers opens what Ingot writes, reports no missing and no unexpected key, and predicts the same.

    transformers_interop.py INGOT PYTHON_OF_TRANSFORMERS5 PYTHON_OF_TRANSFORMERS4 [PATTERN]

Takes every folder of transformers/manifest.json (or those of cases whose names match the shell pattern), whatever framework wrote it:

    route            written                                      opened by
    run              what `ingot run` computes from the source    compared here, each row; also of sparse/manifest.json
    safetensors      a folder (--to safetensors)                  transformers 5
    shards           the same in shards, for cases that come so   transformers 5
    ingot            .ingot, and from that a folder               transformers 5; tensors equal those of the first route
    tensorflow       tf_model.h5                                  TensorFlow classes of transformers 4.49, where they have the class
    tensorflow_shards the same in shards, for cases that come so   TensorFlow classes of transformers 4.49

Keys that transformers 5 reports count as failed, but for those that it reports of the source itself; what it computes from that counts then too.
A conversion that is refused (exit 69) is printed with its reason and doesn't count; any other failure does. Versions of transformers differ in what
they compute from the same file in some cases: what matches the outputs that the opening version itself gave for the case, and not those of the version
that wrote the source, is printed as "as transformers N has it" and counts as passed. A class that the framework can't build from the configuration
at all is printed as "not there" and doesn't count. Ends with "N passed, N failed, N refused"; exits 1 if any failed. KEEP=1 keeps the files."""

import sys

sys.dont_write_bytecode = True

import fnmatch
import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np

FIXTURES = Path(__file__).resolve().parent.parent
TOLERANCE = 5e-5  # of the largest difference, relative to the larger of 1 and the output's scale


# -- comparing, in the frameworks' processes -------------------------------------------------------

def read(path):
    with np.load(FIXTURES / path) as f:
        return dict(f)


def difference(row, inputs, expected, actual):
    """The largest difference where outputs are defined; why it isn't one, as text."""
    if set(expected) != set(actual):
        return f"outputs {sorted(actual)}, expected {sorted(expected)}"
    worst = 0.0
    for name, a in expected.items():
        b = actual[name]
        if a.shape != b.shape:
            return f"{name}: shape {b.shape}, expected {a.shape}"
        gap = np.abs(a.astype("f8") - b.astype("f8"))
        if row.get("padded_positions") == "undefined":
            mask = inputs["attention_mask"] == 1
            gap = gap[mask] if a.shape[:2] == mask.shape else gap[mask.any(1)]
        value = float(gap.max(initial=0)) / max(1.0, float(np.abs(a).max()))
        worst = max(worst, value if np.isfinite(value) else np.inf)
    return worst


def candidates(row, five):
    """Expected outputs: the source's; then those that this framework computed for the case where they differ."""
    folder, stem = Path(row["outputs"]).parent, Path(row["inputs"]).stem.replace("inputs", "outputs")
    own = [f"{stem}.npz", f"{stem}_pt5.npz"] if five else [f"{stem}_tf4.npz", f"{stem}_pt4.npz", f"{stem}.npz"]
    return [row["outputs"]] + [str(folder / n) for n in own if (FIXTURES / folder / n).exists() and str(folder / n) != row["outputs"]]


def check(job, load, run, five):
    """One line about one folder: passed or FAILED, and why."""
    model, told = load(job)
    source = None
    if told:
        if five and not job["dialect"].startswith("tf4"):
            source, reported = load({**job, "folder": job["source"]})
        if source is None or any(set(keys) - set(reported.get(kind, ())) for kind, keys in told.items()):
            return "FAILED", f"keys: {told}"
    worst, other = 0.0, False
    for row in job["rows"]:
        inputs = read(row["inputs"])
        actual = run(model, inputs, job)
        expected = [read(c) for c in candidates(row, five)] + ([run(source, inputs, job)] if source else [])
        gaps = [difference(row, inputs, e, actual) for e in expected]
        good = [i for i, g in enumerate(gaps) if not isinstance(g, str) and g <= TOLERANCE]
        if not good:
            gap = gaps[0]
            return "FAILED", f"{row['name']}: {gap if isinstance(gap, str) else f'differs by {gap:.3g}'}"
        other |= good[0] > 0
        worst = max(worst, gaps[good[0]])
    verdict = ("as transformers 5 has it" if five else "as TensorFlow has it") if other else "passed"
    return verdict, f"largest difference {worst:.2g}" + (f"; keys as of the source itself: {told}" if told else "")


def first_line(error):
    return f"{type(error).__name__}: {(str(error).strip().splitlines() or [''])[0][:300]}"


def work(framework, jobs):
    os.environ.update(HF_HUB_OFFLINE="1", HF_HUB_DISABLE_PROGRESS_BARS="1", TQDM_DISABLE="1", TRANSFORMERS_VERBOSITY="critical", CUDA_VISIBLE_DEVICES="",
                      TF_CPP_MIN_LOG_LEVEL="3", TF_ENABLE_ONEDNN_OPTS="0", TF_USE_LEGACY_KERAS="1", USE_TF="AUTO", USE_TORCH="AUTO")
    five = framework == "transformers5"
    if five:
        import transformers_pt as module
    else:
        import transformers_tf as module
    import transformers

    def information(info):
        return {k: sorted(str(i) for i in v) for k, v in info.items() if v}

    def load5(job):
        cls = getattr(transformers, job["class"])
        model, info = cls.from_pretrained(job["folder"], output_loading_info=True, attn_implementation="eager", dtype="float32", **job["init"])
        return model.eval(), information(info)

    def load4(job):
        module.tf.keras.backend.clear_session()
        cls = getattr(transformers, "TF" + job["class"])
        model, info = cls.from_pretrained(job["folder"], output_loading_info=True, **job["init"])
        return model, information(info)

    def missing(job):
        """Why the framework has no such model, or None."""
        if five:
            return None if hasattr(transformers, job["class"]) else f"no {job['class']}"
        cls = getattr(transformers, "TF" + job["class"], None)
        if cls is None or type(cls).__name__ == "DummyObject":
            return f"no TF{job['class']}"
        try:
            module.tf.keras.backend.clear_session()
            config = cls.config_class.from_pretrained(job["source"])
            model = cls(config, **job["init"])
            row = job["rows"][0]
            run(model, read(row["inputs"]), job)
        except Exception as error:
            return first_line(error)
        return None

    def run(model, inputs, job):
        return module.run(model, inputs)

    for job in json.loads(Path(jobs).read_text()):
        name = f"{job['route']} {job['case']}/{job['dialect']}"
        reason = missing(job)
        if reason:
            print(f"not there {name}: {reason}", flush=True)
            continue
        rows = job["rows"]
        if not five:  # inputs that TensorFlow's class wants more of
            from transformers_cases import CASES

            skipped = CASES[job["case"]].options.get("not_in_tf", ())
            job["rows"] = [r for r in rows if r["name"][len(job["case"]) + 1:] not in skipped]
        try:
            verdict, reason = check(job, load5 if five else load4, run, five)
        except Exception as error:
            verdict, reason = "FAILED", first_line(error)
        print(f"{verdict} {name}: {reason}", flush=True)


# -- converting ------------------------------------------------------------------------------------

class Converter:
    def __init__(self, ingot, folder):
        self.ingot, self.folder = ingot, folder
        self.refused = self.failed = self.passed = 0

    def run(self, row):
        """Holds what `ingot run` computes against the row's outputs."""
        output = self.folder / "run.npz"
        command = [self.ingot, "run", "--quiet", "--force", str(FIXTURES / row["path"]), "--inputs", str(FIXTURES / row["inputs"]), "--output", str(output)]
        result = subprocess.run(command, capture_output=True, text=True)
        name = f"run {'/'.join(row['path'].split('/')[1:])} {row['name']}"
        said = " ".join((result.stderr or result.stdout).split())[:400]
        if result.returncode == 69:
            self.refused += 1
            print(f"refused {name}: {said}", flush=True)
            return
        gap = f"ingot run exits {result.returncode}: {said}"
        if result.returncode == 0:
            with np.load(output) as f:
                gap = difference(row, read(row["inputs"]), read(row["outputs"]), dict(f))
        good = not isinstance(gap, str) and gap <= TOLERANCE
        self.passed += good
        self.failed += not good
        print(f"{'passed' if good else 'FAILED'} {name}: {gap if isinstance(gap, str) else f'largest difference {gap:.2g}'}", flush=True)

    def convert(self, route, source, output, *options):
        """True if the output is there."""
        output.parent.mkdir(parents=True, exist_ok=True)
        command = [self.ingot, "convert", "--quiet", str(source), str(output), *options]
        result = subprocess.run(command, capture_output=True, text=True)
        if result.returncode == 0:
            return True
        said = " ".join((result.stderr or result.stdout).split())[:400]
        name = f"{route} {source.parent.name}/{source.name}"
        if result.returncode == 69:
            self.refused += 1
            print(f"refused {name}: {said}", flush=True)
        else:
            self.failed += 1
            print(f"FAILED {name}: ingot convert exits {result.returncode}: {said}", flush=True)
        return False


def tensors(folder):
    """{name: bytes of a tensor with its dtype and shape} of a folder's safetensors files."""
    result = {}
    for path in sorted(folder.glob("*.safetensors")):
        data = path.read_bytes()
        length = int.from_bytes(data[:8], "little")
        for name, entry in json.loads(data[8:8 + length]).items():
            if name != "__metadata__":
                begin, end = entry["data_offsets"]
                result[name] = (entry["dtype"], tuple(entry["shape"]), data[8 + length + begin:8 + length + end])
    return result


def main(ingot, python5, python4, pattern="*"):
    models, sparse = {}, []
    for row in json.loads((FIXTURES / "transformers/manifest.json").read_text()):
        if fnmatch.fnmatch(row["path"].split("/")[1], pattern):
            models.setdefault(row["path"], []).append(row)
    for row in json.loads((FIXTURES / "sparse/manifest.json").read_text()):
        if fnmatch.fnmatch("sparse_" + row["path"].split("/")[1], pattern):
            sparse.append(row)
    folder = Path(tempfile.mkdtemp(prefix="ingot-interop."))
    converter = Converter(ingot, folder)
    jobs = {"transformers5": [], "tensorflow4": []}

    for row in [r for rows in models.values() for r in rows] + sparse:
        converter.run(row)

    for path, rows in models.items():
        case, dialect = path.split("/")[1:]
        source, end = FIXTURES / path, f"{case}/{dialect}"

        def add(framework, route, output):
            jobs[framework].append({"route": route, "case": case, "dialect": dialect, "class": rows[0]["class"], "init": rows[0].get("init", {}),
                                    "folder": str(output), "source": str(source), "rows": rows})

        plain = folder / "safetensors" / end
        if converter.convert("safetensors", source, plain, "--to", "safetensors"):
            add("transformers5", "safetensors", plain)
            if dialect.endswith("_sharded") and converter.convert("shards", source, folder / "shards" / end, "--to", "safetensors", "--max-shard-size", "8KB"):
                if len(list((folder / "shards" / end).glob("*.safetensors"))) < 2:
                    converter.failed += 1
                    print(f"FAILED shards {end}: one file")
                add("transformers5", "shards", folder / "shards" / end)
            packed = folder / "packed" / f"{end}.ingot"
            again = folder / "ingot" / end
            if converter.convert("ingot", source, packed) and converter.convert("ingot", packed, again, "--to", "safetensors"):
                if tensors(plain) != tensors(again):
                    converter.failed += 1
                    print(f"FAILED ingot {end}: other tensors than straight")
                add("transformers5", "ingot", again)
        target = folder / "tensorflow" / end
        if converter.convert("tensorflow", source, target / "tf_model.h5"):
            if not (target / "config.json").exists():
                shutil.copy(source / "config.json", target)
            add("tensorflow4", "tensorflow", target)
        if dialect.endswith("_sharded"):
            cut = folder / "tensorflow_shards" / end
            if converter.convert("tensorflow shards", source, cut, "--to", "tf-hdf5", "--max-shard-size", "8KB"):
                add("tensorflow4", "tensorflow_shards", cut)

    passed, failed = converter.passed, converter.failed
    for framework, python in (("transformers5", python5), ("tensorflow4", python4)):
        if not jobs[framework]:
            continue
        path = folder / f"{framework}.json"
        path.write_text(json.dumps(jobs[framework]))
        command = [python, __file__, "--work", framework, str(path)]
        with open(folder / f"{framework}.err", "w") as errors, subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True) as process:
            count = 0
            for line in process.stdout:
                print(line, end="", flush=True)
                count += line.startswith(("passed ", "FAILED ", "not there ", "as "))
                passed += line.startswith(("passed ", "as "))
                failed += line.startswith("FAILED ")
        if process.returncode or count != len(jobs[framework]):
            failed += 1
            print(f"FAILED {framework}: ended early:", *(folder / f"{framework}.err").read_text().splitlines()[-5:], sep="\n")
    if os.environ.get("KEEP"):
        print(f"files are kept in {folder}")
    else:
        shutil.rmtree(folder)
    print(f"{passed} passed, {failed} failed, {converter.refused} refused")
    return 1 if failed else 0


if __name__ == "__main__":
    if len(sys.argv) == 4 and sys.argv[1] == "--work":
        work(sys.argv[2], sys.argv[3])
    elif len(sys.argv) in (4, 5):
        sys.exit(main(*sys.argv[1:]))
    else:
        print("\n".join(__doc__.splitlines()[:4]), file=sys.stderr)
        sys.exit(64)
