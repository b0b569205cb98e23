"""The account of a data set: every row that comes in or goes out, by its reason, down to the rows that are kept."""

from pathlib import Path

from cisflow.errors import CisflowError
from cisflow.io import write_tsv
from cisflow.tables import ACCOUNTING

KEPT = "kept"
# Steps that make rows out of others, or add some to them.
MADE = ("reverse_complement", "negatives", "background")


class Account:
    """Signed counts: what comes in is positive, what goes out negative.

    Their sum is what is kept, which is entered too; `close` holds them against each other, for each unit.

    Parameters
    ----------
    unit
        What is counted unless a call says otherwise: what the rows of the data set are (windows, sequences, ...). Other
        units (peaks, contigs, ...) have an account of their own, and end with a `keep` too.
    """

    def __init__(self, unit: str):
        self.unit = unit
        self.rows: list[dict[str, str | int]] = []

    def enter(self, rows: int, step: str = "read", reason: str = "", input: str = "", unit: str = "") -> None:
        """Count rows that come in."""
        self._add(unit, input, step, reason, int(rows))

    def drop(self, rows: int, step: str, reason: str, input: str = "", unit: str = "") -> None:
        """Count rows that go out; none is not entered."""
        if rows:
            self._add(unit, input, step, reason, -int(rows))

    def keep(self, rows: int, reason: str = "", unit: str = "") -> None:
        """Count rows that are there in the end, such as those of a split (`reason`)."""
        self._add(unit, "", KEPT, reason, int(rows))

    def _add(self, unit: str, input: str, step: str, reason: str, rows: int) -> None:
        self.rows.append(dict(zip(ACCOUNTING, (unit or self.unit, input, step, reason, rows), strict=True)))

    def close(self) -> None:
        """Check that the account of every unit adds up.

        Raises
        ------
        CisflowError
            It does not: a defect of the program, which has lost rows.
        """
        for unit in dict.fromkeys(row["unit"] for row in self.rows):
            kept, moved = (
                sum(row["rows"] for row in self.rows if row["unit"] == unit and (row["step"] == KEPT) == is_kept)
                for is_kept in (True, False)
            )
            if kept != moved:
                raise CisflowError(
                    f"the account of {unit} does not add up: {moved:,} came in and were not dropped, and {kept:,} are "
                    "kept. This is a defect of cisflow; please report it."
                )

    def write(self, path: str | Path) -> None:
        """Check the account and write it as a table, atomically."""
        self.close()
        write_tsv(path, ACCOUNTING, self.rows)
