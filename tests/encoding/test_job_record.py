"""A job goes on only as the job that it was."""

from pathlib import Path

import pytest

from likewise.encoding.job_record import is_begun

JOB = {"model": "d1f3", "input": ["tea.txt", "räin.txt"], "normalize": False, "truncate_dim": None}


def test_the_same_job_goes_on(tmp_path: Path) -> None:
    record = tmp_path / "parts" / "job.json"
    assert not is_begun(record, JOB)
    assert is_begun(record, JOB)
    assert is_begun(record, dict(reversed(JOB.items())))


def test_another_job_is_refused_and_told_what_differs(tmp_path: Path) -> None:
    is_begun(tmp_path / "job.json", JOB)
    with pytest.raises(ValueError, match=r"normalize was False and is True; prompt was None and is 'query: '; give"):
        is_begun(tmp_path / "job.json", JOB | {"normalize": True, "prompt": "query: "})
    with pytest.raises(ValueError, match="truncate_dim was None and is 64"):
        is_begun(tmp_path / "job.json", JOB | {"truncate_dim": 64})
    assert is_begun(tmp_path / "job.json", JOB)


@pytest.mark.parametrize("content", ["", "{", "[]", "\x00"])
def test_a_damaged_record_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "job.json").write_text(content, encoding="utf-8")
    with pytest.raises(ValueError, match=r"job\.json is damaged"):
        is_begun(tmp_path / "job.json", JOB)
