"""The short table that ends a run."""

import shlex
from pathlib import Path

from camri_exp.files import display_path
from camri_exp.results import RunResult

NOT_REPEATED = ("loss=", "seed=", "resume=", "sweep.")  # overrides that a comparison of losses replaces


def print_result(result: RunResult, run_dir: Path) -> None:
    """Print the main metrics, where the files are, and what to try next."""
    folder = display_path(run_dir)
    names = ", ".join(result.important_class_names)
    rows = {
        "accuracy": "accuracy",
        f"recall of {names}": "recall_important",
        f"precision of {names}": "precision_important",
        "macro recall": "macro_recall",
    }
    if result.test.recall_rare is not None:
        rows["recall of the rare third"] = "recall_rare"
    width = max(map(len, rows))
    title = f"{result.data}, loss {result.loss}, {result.model}, seed {result.seed}"
    print(f"\n{title}: {result.epochs} epochs in {result.fit_seconds:.0f} s")
    print(f"{'':{width}}  validation    test")
    for label, key in rows.items():
        print(f"{label:{width}}  {getattr(result.val, key):10.4f}  {getattr(result.test, key):6.4f}")
    print(f"\nresults: {folder}")
    print(f"next:    python -m camri_exp.evaluate run={folder}")
    kept = [shlex.quote(item) for item in result.overrides if not item.lstrip("+").startswith(NOT_REPEATED)]
    print(f"         python -m camri_exp.train -m {' '.join([*kept, 'loss=ce,camri', 'seed=0,1,2'])}")
