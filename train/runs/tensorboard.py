"""A run's metrics as TensorBoard events, where TensorBoard is installed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from lehr.errors import FileRefused, ToolMissing

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter


class Events:
    """Writes one point for every epoch: loss, accuracies, each layer's threshold and firing rate.

    Of delays and of decays that are learned there is the mean over the layer. The step is the
    epoch's number over all phases. Thresholds of phase A are in the membrane units of training,
    those of phases B and C are integers, and so they are two curves.
    """

    def __init__(self, folder: Path, epochs: int) -> None:
        """Open the events in `folder`, made if need be, of a run that has trained `epochs` epochs.

        Later points there are dropped.

        Raises:
            ToolMissing: when TensorBoard is not installed.
            FileRefused: when `folder` cannot be written.
        """
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            raise ToolMissing(
                "TensorBoard is not installed; get it with: pip install 'lehr[tensorboard]'"
            ) from None
        self._step = epochs
        try:
            self._writer: SummaryWriter = SummaryWriter(str(folder), purge_step=epochs + 1)
        except OSError as error:
            raise FileRefused(
                f"{folder} cannot be written: {error.strerror}; choose another folder for "
                "--tensorboard"
            ) from error

    def add(self, entry: dict[str, Any]) -> None:
        """Write the metrics of the next epoch, to the disk at once."""
        self._step += 1
        threshold = "threshold" if entry["phase"] == "A" else "integer threshold"
        curves = {
            "loss": entry["loss"],
            "accuracy/train": entry["train_accuracy"],
            "accuracy/validation": entry["validation_accuracy"],
        }
        for number, (theta, rate) in enumerate(
            zip(entry["thresholds"], entry["rates"], strict=True), start=1
        ):
            curves |= {f"{threshold}/lif{number}": theta, f"rate/lif{number}": rate}
        for layer, steps in entry.get("delays", {}).items():
            curves[f"delay/{layer}"] = steps["mean"]
        for layer, decays in entry.get("decays", {}).items():
            curves |= {f"{key}/{layer}": factor["mean"] for key, factor in decays.items()}
        for name, value in curves.items():
            self._writer.add_scalar(name, value, self._step)
        self._writer.flush()

    def close(self) -> None:
        """End the file."""
        self._writer.close()
