"""Pages of reports: what stands on them is true, whole, the same every time, and does no harm."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from commands import Lehr
from report_pages import Page

import lehr as api
from lehr import nirfile
from lehr.report.inputs import chosen
from lehr.report.making import Report
from lehr.simulate import simulate

KEYS = [
    "verdict",
    "accuracy",
    "training",
    "network",
    "layers",
    "rasters",
    "membranes",
    "classes",
    "costs",
    "distributions",
    "again",
]


def check_whole(html: str) -> Page:
    """Assert what is true of every page, and return it."""
    page = Page(html)
    assert len(html.encode()) < 1_000_000
    assert list(page.items) == KEYS
    assert [name for name, count in Counter(page.ids).items() if count > 1] == []
    assert "script" not in page.tags
    inside = {f"#{name}" for name in page.ids}
    assert all(link in inside or link.startswith("data:") for link in page.links), page.links
    assert set(re.findall(r"url\(([^)]*)\)", html)) <= inside
    for key, item in page.items.items():
        assert len(item.captions) == len(item.labels), key
        assert all(text.strip() for text in (*item.captions, *item.labels)), key
        assert bool(item.tables) or not item.captions, f"{key} has pictures without numbers"
        for table in item.tables:
            assert table.caption
            assert len({len(row) for row in table.rows}) == 1
            assert table.scopes.count("col") == len(table.rows[0])
            assert table.scopes.count("row") == len(table.rows) - 1 > 0
    return page


def check_digests(page: Page, *folders: Path) -> None:
    """Assert that the digests are those of the files, as sha256sum prints them."""
    rows = page.table("again", "Digests").rows[1:]
    assert rows
    for name, digest in rows:
        (path,) = [folder / name for folder in folders if (folder / name).exists()][:1]
        assert hashlib.sha256(path.read_bytes()).hexdigest() == digest


def test_the_page_of_a_run_says_what_the_run_says(line: Path, page_of_run: Path) -> None:
    page = check_whole(page_of_run.read_text("utf-8"))
    state = json.loads((line / "run" / "state.json").read_bytes())
    samples = np.load(line / "run" / "samples.npz")
    check_digests(page, line / "run")
    accuracies = {row[1]: row for row in page.table("accuracy", "Accuracies").rows[1:]}
    assert accuracies["integer"][2] == f"{100 * state['accuracy']['integer']:.2f} %"
    assert accuracies["annealed and binarized"][4] == "80"  # the tiny recipe's test samples
    assert accuracies["simulator"][4] == str(len(samples["labels"]))
    metrics = [json.loads(row) for row in (line / "run/metrics.jsonl").read_text().splitlines()]
    epochs = page.table("training", "Epochs").rows[1:]
    assert [row[:3] for row in epochs] == [
        [e["phase"], str(e["epoch"]), f"{e['loss']:.4f}"] for e in metrics
    ]
    assert len(page.items["training"].captions) == 4
    net = nirfile.read(line / "model.nir")
    assert net.digest in page.items["verdict"].text
    result = simulate(net, samples["input"], trace=net.neurons)
    rates = {row[0]: row[4] for row in page.table("network", "Nodes").rows[1:] if row[4]}
    assert rates == {name: f"{rate:.4f}" for name, rate in result.rates.items()}
    right = (result.prediction == samples["labels"]).mean()
    last = page.table("classes", "Accuracy by steps").rows[-1]
    assert last[:2] == [str(net.steps), f"{100 * right:.2f} %"]
    counts = np.zeros((10, 10), int)
    np.add.at(counts, (samples["labels"], result.prediction), 1)
    matrix = [row[1:] for row in page.table("classes", "Samples by label").rows[1:]]
    assert [[int(cell or 0) for cell in row] for row in matrix] == counts.tolist()


def test_wrong_samples_are_shown_first_one_a_class(line: Path, page_of_run: Path) -> None:
    samples = np.load(line / "run" / "samples.npz")
    net = nirfile.read(line / "model.nir")
    result = simulate(net, samples["input"], trace=net.neurons)
    page = Page.of(page_of_run)
    rows = page.table("rasters", "Spikes of the samples").rows
    assert len(page.items["rasters"].captions) == len(rows) - 1 == len(set(samples["labels"]))
    assert sorted(int(row[1]) for row in rows[1:]) == sorted(set(samples["labels"]))
    wrong = set(samples["labels"][result.prediction != samples["labels"]])
    for row in rows[1:]:
        number = int(row[0])
        assert int(row[1]) == samples["labels"][number]
        assert row[3] == ("wrong" if int(row[1]) in wrong else "right")
        assert int(row[2]) == result.prediction[number]
        for name, cell in zip(net.neurons, row[4:], strict=True):
            assert int(cell.replace(",", "")) == result.trace.spikes[name][number].sum()


def test_samples_are_chosen_by_class_wrong_ones_first() -> None:
    labels = np.array([0, 1, 2, 0, 1, 2, 3])
    prediction = np.array([0, 1, 2, 0, 2, 2, 3])
    shown = chosen(prediction, labels, 3)
    assert [(s.number, s.label, s.prediction, s.wrong) for s in shown] == [
        (4, 1, 2, True),
        (0, 0, 0, False),
        (2, 2, 2, False),
    ]
    assert [(s.number, s.label) for s in chosen(prediction, None, 9)] == [
        (0, None),
        (1, None),
        (2, None),
        (6, None),
    ]


def test_a_run_is_compared_with_the_definition(line: Path, page_of_run: Path) -> None:
    net = nirfile.read(line / "model.nir")
    text = Page.of(page_of_run).items["verdict"].text
    neurons = sum(int(np.prod(net.shapes[name])) for name in net.neurons)
    assert "Verdict: PASS" in text
    assert f"0 of {neurons * net.steps * 10:,} membranes and 0 spikes differ" in text
    assert "the fast engine with the reference simulator" in text


def test_a_model_without_samples_claims_nothing(line: Path) -> None:
    shown = api.report(line / "model.nir", output=None)
    page = check_whole(shown.html)
    assert shown.facts.verdict.word == ""
    assert "PASS" not in page.text
    assert "differ" not in page.items["verdict"].text.partition("In short")[2]
    assert not shown.facts.accuracies
    for key in ("network", "layers", "rasters", "membranes", "distributions"):
        assert "give some with -i IN.npz" in page.items[key].text, key
    assert "give samples with labels with -i IN.npz" in page.items["classes"].text
    assert "report on the run that 'lehr train' wrote" in page.items["training"].text
    assert "'lehr build' the network" in page.items["costs"].text
    bits = {row[0]: row[4] for row in page.table("layers", "Neurons").rows[1:]}
    assert set(bits) == set(nirfile.read(line / "model.nir").neurons)


def test_a_built_folder_is_verified_and_its_costs_are_shown(
    line: Path, built: Path, tmp_path: Path, lehr: Lehr
) -> None:
    ran = lehr("report", built, "-i", line / "in.npz", "-o", tmp_path / "c.html", "--md")
    assert ran.code == 0, ran.err
    assert ran.last == "PASS"
    page = check_whole((tmp_path / "c.html").read_text("utf-8"))
    check_digests(page, built, line)
    assert "c in its own tool with the reference simulator, 6 samples" in page.text
    estimate = json.loads((built / "report" / "estimate.json").read_bytes())
    figures = {row[0]: row for row in page.table("costs", "Figures").rows[1:]}
    assert {figure["name"] for figure in estimate} == set(figures)
    for figure in estimate:
        shown = float(figures[figure["name"]][1].replace(",", ""))
        assert shown == pytest.approx(figure["value"], rel=1e-3, abs=0.5)
    labels = np.load(line / "in.npz")["labels"][:6]
    net = nirfile.read(line / "model.nir")
    right = (simulate(net, np.load(line / "in.npz")["input"][:6]).prediction == labels).mean()
    row = {row[1]: row for row in page.table("accuracy", "Accuracies").rows[1:]}["c"]
    assert row[2] == f"{100 * right:.2f} %"
    assert row[4] == "6"
    card = (tmp_path / "MODEL_CARD.md").read_text("utf-8")
    assert card.startswith("# Model card: report-c\n")
    assert f"| c | {100 * right:.2f} % |" in card
    assert net.digest in card
    assert "80 samples in in.npz" in card


@pytest.mark.slow
def test_the_same_inputs_give_the_same_bytes_in_every_process(line: Path, tmp_path: Path) -> None:
    pages = []
    for number, seed in enumerate(("0", "1")):
        page = tmp_path / f"{number}.html"
        subprocess.run(
            [sys.executable, "-m", "lehr", "report", line / "run", "-o", page],
            check=True,
            capture_output=True,
            env={"PATH": "/usr/bin:/bin", "PYTHONHASHSEED": seed, "TZ": f"UTC+{number}"},
        )
        pages.append(page.read_bytes())
    assert pages[0] == pages[1]


def test_a_name_of_anybody_s_does_no_harm(line: Path, tmp_path: Path) -> None:
    model = tmp_path / "<script>alert(1)<!--&\"'*_.nir"
    shutil.copy(line / "model.nir", model)
    shown = api.report(model, output=None)
    page = check_whole(shown.html)
    assert "<script" not in shown.html
    assert page.text.count(model.name) >= 3  # title, head, digests
    assert "<script" not in shown.markdown.replace("\\<", "")


def test_tables_of_markdown_stay_tables() -> None:
    from lehr.report.markdown import table
    from lehr.shown import Table

    text = table(Table("<b>|x", ("a|b", "c"), [("1|2\n3", "`rm`"), ("*", "[x](y)")]))
    lines = text.splitlines()
    assert lines[0] == r"**\<b\>\|x**"
    assert all(len(re.findall(r"(?<!\\)\|", line)) == 3 for line in lines[2:])
    assert lines[4] == r"| 1\|2?3 | \`rm\` |"


@pytest.mark.parametrize(("rows", "shown"), [(200, 200), (201, 101), (1000, 200), (9999, 200)])
def test_a_long_table_keeps_evenly_spaced_rows_and_the_last(rows: int, shown: int) -> None:
    from lehr.report.section import thinned
    from lehr.shown import Table

    table = thinned(Table("Epochs", ("epoch",), [(str(n),) for n in range(1, rows + 1)]))
    kept = [int(row[0]) for row in table.rows]
    assert len(kept) == shown
    assert kept[-1] == rows
    assert len(set(np.diff(kept[:-1]))) == 1
    assert (f"of {rows:,} rows" in table.title) == (shown < rows)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["run", "model.nir", "report-c"])
def test_a_page_is_made_without_torch(line: Path, built: Path, tmp_path: Path, name: str) -> None:
    out = tmp_path / "p.html"
    text = f"""
import sys
sys.modules["torch"] = None
import lehr
lehr.report({str(line / name)!r}, {str(line / "in.npz")!r}, output={str(out)!r}, verify=False)
"""
    subprocess.run([sys.executable, "-c", text], check=True)
    check_whole(out.read_text("utf-8"))


def test_a_report_shows_itself_in_a_line(line: Path) -> None:
    shown = api.report(line / "model.nir", output=None)
    assert isinstance(shown, Report)
    assert repr(shown) == "Report(model model.nir: no verdict)"
    assert nirfile.read(line / "model.nir").digest in shown.summary()
    assert "<table>" in shown._repr_html_()
    json.dumps(shown.facts.to_json())


@pytest.mark.slow
def test_decays_that_a_run_learned_are_drawn_and_listed(
    line: Path, tmp_path: Path, lehr: Lehr
) -> None:
    ran = lehr("report", line / "run", "-o", tmp_path / "without.html")
    assert ran.code == 0, ran.err
    assert "Learned decays" not in (tmp_path / "without.html").read_text()
    recipe = (line / "run/recipe.toml").read_text()
    learned = recipe.replace(
        'type = "linear"', 'type = "linear"\nbeta = { start = "7/8", learn = "channel" }'
    )
    assert learned != recipe
    (tmp_path / "learned.toml").write_text(learned)
    ran = lehr("train", tmp_path / "learned.toml", "-o", tmp_path / "run")
    assert ran.code == 0, ran.err
    ran = lehr("report", tmp_path / "run", "-o", tmp_path / "page.html")
    assert ran.code == 0, ran.err
    item = check_whole((tmp_path / "page.html").read_text()).items["training"]
    (table,) = [each for each in item.tables if each.caption == "Learned decays"]
    text = (tmp_path / "run/metrics.jsonl").read_text()
    entries = [json.loads(each) for each in text.splitlines()]
    in_a = [entry["decays"] for entry in entries if entry["phase"] == "A"]
    assert len(in_a) > 1
    assert in_a[0] != in_a[-1]
    expected = [
        [
            f"{layer} beta",
            *(
                f"{each[layer]['beta']['mean']:.4g} +- {each[layer]['beta']['spread']:.2g}"
                for each in (in_a[0], in_a[-1])
            ),
        ]
        for layer in in_a[0]
    ]
    assert [*map(list, table.rows[1:])] == expected
    (label,) = [each for each in item.labels if each.startswith("Decays over")]
    ends = [
        f"{name} {in_a[-1][name.split(' beta')[0]]['beta']['mean']:.4g}" for name, *_ in expected
    ]
    assert label.endswith(f"at the end: {', '.join(ends)}")
