"""``python -m camri_exp``: list the commands."""

COMMANDS = {
    "train": "train one model and test it; with -m, a sweep over losses, margins and seeds",
    "evaluate": "compute all metrics of a trained model, with 95 % CIs, and draw its figures",
    "predict": "classify new images",
    "export": "write a model for deployment, as ONNX or as a PyTorch program",
    "report": "compare the runs of a sweep and recommend a loss",
}


def main() -> None:
    """Print each command with one line that says what it does."""
    print("Train and compare image classifiers in which one class matters more than the rest.\n")
    for name, purpose in COMMANDS.items():
        print(f"  python -m camri_exp.{name:10}{purpose}")
    print("\nEach command lists its options with --help. Documentation: README.md and docs/")


if __name__ == "__main__":
    main()
