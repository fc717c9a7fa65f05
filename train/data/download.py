"""Official files of data sets, fetched on request and compared with their published MD5.

Sources of addresses and MD5s: of MNIST and Fashion-MNIST torchvision's `datasets/mnist.py` (the
MD5s of the second also its authors' README), of N-MNIST, SHD and SSC tonic's `datasets/nmnist.py`
and `datasets/hsd.py`, of DVS128 Gesture SpikingJelly's `datasets/dvs128_gesture.py`: its publisher
hands it out on a page only, and what tonic fetches is another version, cut and rounded.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lehr.atomic import writing
from lehr.download import Bar, fetch
from lehr.errors import FileRefused, UsageError
from lehr.train.data.archive import unpack

MIRROR = "LEHR_DATA_MIRROR"
"""Environment variable with the address of a mirror.

It has the files as `DATA-SET/FILE`; the MD5s stay the official ones.
"""


@dataclass(frozen=True)
class Remote:
    """A file as it is published.

    Attributes:
        name: of the file.
        md5: of its bytes.
        address: where it is fetched, or, for `by_hand`, the page that hands it out.
        becomes: the file or folder that it is or is unpacked to, in the data set's folder.
        top: the folder in the archive with all that the data set's folder is to hold; empty where
            that is `becomes` alone.
        by_hand: whether it can be fetched from a mirror only.
    """

    name: str
    md5: str
    address: str
    becomes: str
    top: str = ""
    by_hand: bool = False


def _idx(base: str, *md5s: str) -> tuple[Remote, ...]:
    names = (
        f"{part}-{kind}-ubyte.gz"
        for part in ("train", "t10k")
        for kind in ("images-idx3", "labels-idx1")
    )
    return tuple(
        Remote(name, md5, base + name, name) for name, md5 in zip(names, md5s, strict=True)
    )


def _hdf5(**md5s: str) -> tuple[Remote, ...]:
    return tuple(
        Remote(f"{name}.h5.zip", md5, f"https://zenkelab.org/datasets/{name}.h5.zip", f"{name}.h5")
        for name, md5 in md5s.items()
    )


def _mendeley(name: str, key: str, md5: str) -> Remote:
    return Remote(
        f"{name}.zip",
        md5,
        f"https://data.mendeley.com/public-files/datasets/468j46mzdv/files/{key}/file_downloaded",
        name,
    )


OFFICIAL = {
    "mnist": _idx(
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "f68b3c2dcbeaaa9fbdd348bbdeb94873",
        "d53e105ee54ea40749a09fcbcd1e9432",
        "9fb629c4189551a2d022fa330f9573f3",
        "ec29112dd5afa0611ce80d1b7f02629c",
    ),
    "fashion-mnist": _idx(
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
        "25c81989df183df01b3e8a0aad5dffbe",
        "bef4ecab320f06d8554ea6380940ec79",
        "bb300cfdad3c16e7a12a480ee83cd310",
    ),
    "nmnist": (
        _mendeley(
            "Train", "39c25547-014b-4137-a934-9d29fa53c7a0", "20959b8e626244a1b502305a9e6e2031"
        ),
        _mendeley(
            "Test", "05a4d654-7e03-4c15-bdfa-9bb2bcbea494", "69ca8762b2fe404d9b9bad1103e97832"
        ),
    ),
    "dvs-gesture": (
        Remote(
            "DvsGesture.tar.gz",
            "8a5c71fb11e24e5ca5b11866ca6c00a1",
            "https://ibm.ent.box.com/s/3hiq58ww1pbbjrinh367ykfdf60xsfm8/folder/50167556794",
            "trials_to_train.txt",
            top="DvsGesture",
            by_hand=True,
        ),
    ),
    "shd": _hdf5(
        shd_train="f3252aeb598ac776c1b526422d90eecb", shd_test="1503a5064faa34311c398fb0a1ed0a6f"
    ),
    "ssc": _hdf5(
        ssc_train="d102be95e7144fcc0553d1f45ba94170",
        ssc_valid="b4eee3516a4a90dd0c71a6ac23a8ae43",
        ssc_test="a35ff1e9cffdd02a20eb850c17c37748",
    ),
}
_WITHOUT = {
    "digits": "is embedded",
    "temporal": "is drawn from data.seed",
    "events": "is your own folder",
    "npz": "is your own file",
    "series": "is your own files",
    "fsdd": "is a stand-in that is published nowhere",
}


def download(name: str, folder: Path | None, bar: Callable[[str], Bar]) -> None:
    """Fetch the official files of a data set that are missing.

    Those are missing that are neither in `folder` nor in a folder of the data set's name there,
    which they go to.

    An archive that already lies beside them is unpacked and not fetched.

    Args:
        name: of the data set.
        folder: what --data names; made if it does not exist.
        bar: gives the progress bar of a file by its name.

    Raises:
        UsageError: when there is no folder, or the data set is not one that can be fetched.
        FileRefused: when a file cannot be fetched or written, or is not the official one; nothing
            of it is left then.
    """
    if name not in OFFICIAL:
        raise UsageError(
            f"data set {name} {_WITHOUT.get(name, 'is unknown')} and is not downloaded; leave out "
            "--download"
        )
    if folder is None:
        raise UsageError(
            f"--download has no folder to put {name} in; give one with --data DIR, or in LEHR_DATA"
        )
    place = _place(name, folder)
    try:
        place.mkdir(parents=True, exist_ok=True)
        for remote in OFFICIAL[name]:
            if not (place / remote.becomes).exists():
                with tempfile.TemporaryDirectory(prefix=".download.", dir=place) as part:
                    _get(name, remote, place, Path(part), bar(remote.name))
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise FileRefused(
            f"{place} cannot be written: {reason}; free space there or give another folder with "
            "--data DIR"
        ) from None


def _place(name: str, folder: Path) -> Path:
    """Return where the loader looks, `lehr.train.data.dataset`, or a folder of its own.

    Some data sets name their files alike.
    """
    own = [folder / inner for inner in (name, *(remote.top for remote in OFFICIAL[name])) if inner]
    beside = any((folder / remote.becomes).exists() for remote in OFFICIAL[name])
    return next((inner for inner in own if inner.is_dir()), folder if beside else own[0])


def _get(name: str, remote: Remote, place: Path, part: Path, bar: Bar) -> None:
    """Put what `remote` becomes into `place`, by renames, that of what it becomes last.

    `part` is an empty folder there.
    """
    import pooch

    file = place / remote.name
    if not file.is_file():
        file = _fetch(name, remote, place, part, bar)
    elif pooch.file_hash(str(file), alg="md5") != remote.md5:
        raise FileRefused(f"{file} is not the official file, whose MD5 is {remote.md5}; remove it")
    if remote.becomes == remote.name:
        with writing(
            place / remote.becomes
        ) as whole:  # with the rights of the user's other files, which a temporary one has not
            shutil.copyfile(file, whole)
        return
    (part / "unpacked").mkdir()
    unpack(file, part / "unpacked")
    unpacked = part / "unpacked" / remote.top / remote.becomes
    if not unpacked.exists():
        raise FileRefused(
            f"{remote.name} holds no {unpacked.relative_to(part / 'unpacked')}; get it again from "
            "its official source"
        )
    others = [path for path in unpacked.parent.iterdir() if path != unpacked] if remote.top else []
    for path in (*others, unpacked):
        path.replace(place / path.name)


def _fetch(name: str, remote: Remote, place: Path, part: Path, bar: Bar) -> Path:
    """Fetch one file into `part`, and compare it with its MD5."""
    mirror = os.environ.get(MIRROR)
    by_hand = f"put {remote.name} from {remote.address} into {place} yourself"
    if remote.by_hand and not mirror:
        raise FileRefused(
            f"data set {name} is handed out on a page only; {by_hand}, and --download unpacks it"
        )
    address = f"{mirror.rstrip('/')}/{name}/{remote.name}" if mirror else remote.address
    return fetch(
        address, f"md5:{remote.md5}", part / remote.name, "the official file", by_hand, bar
    )
