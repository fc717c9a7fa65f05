"""The plans of the zoo: recipes, the chips they are for, where their data comes from."""

from __future__ import annotations

from dataclasses import dataclass

from lehr.zoo.index import MODEL

_BY_EVENT = (
    "from pathlib import Path; from lehr import nirfile; from lehr.targets.dynapcnn import by_event"
    f'; nirfile.write(by_event(nirfile.read(Path("step.nir"))), Path("{MODEL}"))'
)


@dataclass(frozen=True)
class Data:
    """A data set.

    Attributes:
        title: what people call it.
        source: who made it, and where.
        licence: of the samples, those that come along included.
        folder: whether its files are in the folder that `--data` names; it comes along otherwise.
        limits: what a reader of an accuracy must know; "" for nothing.
    """

    title: str
    source: str
    licence: str
    folder: bool = True
    limits: str = ""


DATA = {
    "digits": Data(
        "Optical Recognition of Handwritten Digits: 1,797 images of 8x8 pixels, as scikit-learn "
        "brings them along",
        "E. Alpaydin and C. Kaynak, UCI Machine Learning Repository, 1998, doi:10.24432/C50P49",
        "CC BY 4.0",
        folder=False,
        limits="The images are the test part of the original, shuffled once: 1,197 to train on, "
        "300 to choose by, 300 to test.",
    ),
    "mnist": Data(
        "MNIST: 70,000 handwritten digits of 28x28 pixels",
        "Y. LeCun, C. Cortes and C. J. C. Burges, 1998",
        "commonly stated as CC BY-SA 3.0",
    ),
    "fashion-mnist": Data(
        "Fashion-MNIST: 70,000 pictures of clothes, 28x28 pixels",
        "H. Xiao, K. Rasul and R. Vollgraf, Zalando Research, 2017, "
        "https://github.com/zalandoresearch/fashion-mnist",
        "MIT",
    ),
    "nmnist": Data(
        "N-MNIST: MNIST as an event camera sees it, 2x34x34",
        "G. Orchard et al., 2015, doi:10.3389/fnins.2015.00437",
        "CC BY-SA 4.0, as its publisher's page says",
        limits="Trained on the first 1,000 training samples, a twelfth of which chose the epoch, "
        "and tested on the first 100 test samples alone.",
    ),
    "fsdd": Data(
        "Free Spoken Digit Dataset: 3,000 recordings of six speakers, as spikes of 700 cochlear "
        "channels",
        "Z. Jackson et al., https://github.com/Jakobovski/free-spoken-digit-dataset",
        "CC BY-SA 4.0",
        limits="It has the file layout of the Spiking Heidelberg Digits and is not SHD: no figure "
        "here compares with one that is published for SHD.",
    ),
}


@dataclass(frozen=True)
class Plan:
    """Plan by which a model is trained and packed.

    Attributes:
        name: of the model, and of the bundled recipe that trains it.
        data: its data set, one of `DATA`.
        description: of the task and the network, in a line.
        target: the chip it is trained for; "" for none.
        changes: keys of the recipe that are set otherwise, as `lehr train --set` takes them.
        after: a line of Python that makes `model.nir` of `step.nir`, the network that was trained;
            "" where that is the model.
        script: of a checkout, which makes the model and its test samples without a recipe; "" where
            there is one.
        caution: what a reader of the accuracy must know of how the model came about, or "".
    """

    name: str
    data: str
    description: str
    target: str = ""
    changes: tuple[str, ...] = ()
    after: str = ""
    script: str = ""
    caution: str = ""


PLANS = (
    Plan("digits", "digits", "handwritten digits of 8x8 pixels, by two binarized convolutions"),
    Plan(
        "mnist-fast",
        "mnist",
        "handwritten digits, in 5 steps: two binarized convolutions, membranes read out",
    ),
    Plan(
        "fashion-mnist-fast",
        "fashion-mnist",
        "clothes, in 5 steps: two binarized convolutions and a hidden layer, membranes read out",
        changes=("train.epochs=12",),
    ),
    Plan(
        "nmnist",
        "nmnist",
        "handwritten digits before an event camera, in 15 frames: two binarized convolutions",
    ),
    Plan("fsdd", "fsdd", "spoken digits on 700 cochlear channels: one binarized hidden layer"),
    Plan(
        "digits-akida",
        "digits",
        "handwritten digits for Akida: layers without memory, an inference a step",
        "akida",
    ),
    Plan(
        "digits-hiaer",
        "digits",
        "handwritten digits for HiAER-Spike: 256 hidden neurons with one leak and one threshold",
        "hiaer",
    ),
    Plan("digits-loihi", "digits", "handwritten digits for Loihi: 256 hidden neurons", "loihi"),
    Plan(
        "digits-ranc",
        "digits",
        "handwritten digits for RANC's cores: 128 hidden neurons",
        "ranc",
        caution="But the recipe's thresholds were chosen after the test accuracy of an earlier "
        "setting had been seen: the figure is a little too good.",
    ),
    Plan(
        "digits-reckon",
        "digits",
        "handwritten digits for ReckOn: 240 hidden neurons, and outputs that integrate",
        "reckon",
    ),
    Plan(
        "digits-speck",
        "digits",
        "handwritten digits for Speck: two binarized convolutions that update by event",
        "speck",
        after=_BY_EVENT,
    ),
    Plan(
        "digits-spinnaker2",
        "digits",
        "handwritten digits for SpiNNaker2: a binarized convolution and 128 hidden neurons",
        "spinnaker2",
    ),
    Plan(
        "digits-tinyodin",
        "digits",
        "handwritten digits for tinyODIN: one layer of neurons that update by event",
        "tinyodin",
        script="examples/digits_by_event.py",
        caution="The script fits and chooses on the samples to train on and on those to choose by, "
        "alike.",
    ),
    Plan(
        "fsdd-xylo",
        "fsdd",
        "the spoken digits 0 to 7 on 16 channels, for Xylo: 200 hidden neurons with synapses",
        "xylo",
    ),
)
