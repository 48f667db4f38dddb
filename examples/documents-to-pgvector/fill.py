"""Lay the handbook of a workshop into `.demo/handbook`, as an application would have it: `python fill.py`.

Markdown, HTML, text and rows of JSONL are copied from `handbook`, a PDF is made here. There they may be edited.
"""

import shutil
from datetime import UTC, datetime
from pathlib import Path

from fpdf import FPDF

HERE = Path(__file__).parent
PLACE = HERE / ".demo" / "handbook"
TITLE, WRITTEN = "In an emergency", datetime(2026, 9, 14, tzinfo=UTC)
PAGES = (
    """Call for help

Emergency services: 112, from any telephone, also without credit. Say where: Mill Lane 7, second yard, blue door. Send
somebody to the gate who shows the way, for navigation systems lead to the first yard.

The red buttons beside each door switch off all machines of the room, but neither the light nor the extraction. To switch
on again takes the key, which the counter has.""",
    """Injuries

First aid boxes hang in the kitchen, beside the table saw and in the annex. The defibrillator hangs at the entrance; it
speaks and says what to do.

Bleeding: press on the wound with a clean cloth, hold it up, do not let go. A part of a finger that came off goes dry into
a clean bag, and that bag into another one with cold water; never directly onto ice.

Burns: cool with running water from the tap for ten minutes, not with ice. Take off rings. Leave blisters alone.

Something in the eye: do not rub. Rinse for a quarter of an hour with the eye wash that hangs over the sink of the printer
room, resin and acids without any delay.

Every injury is written into the green book, also a small one: without that the accident insurance does not pay.""",
    """Fire

If it can be put out with one extinguisher, do that, with the door at your back. If not, close windows and doors, leave by
the stairs, never by the lift, and meet at the lime tree in front of the church. The one who worked at the counter counts
the people there.

Extinguishers with water stand in the wood room, with carbon dioxide beside all electrical machines. A burning lithium
battery is carried out with the long tongs if that is still possible, and goes into the bucket of sand in the yard.""",
)


def main() -> None:
    shutil.copytree(HERE / "handbook", PLACE, dirs_exist_ok=True)
    (PLACE / "emergency.pdf").write_bytes(printed())
    files = sorted(str(path.relative_to(PLACE)) for path in PLACE.rglob("*") if path.is_file())
    print(f"{len(files)} files in .demo/handbook: {', '.join(files)}")


def printed() -> bytes:
    pdf = FPDF()
    pdf.set_title(TITLE)
    pdf.set_creation_date(WRITTEN)  # else each run makes another file
    pdf.set_font("helvetica", size=12)
    for page in PAGES:
        pdf.add_page()
        for paragraph in page.split("\n\n"):
            pdf.multi_cell(0, 6, " ".join(paragraph.split()), new_x="LMARGIN", new_y="NEXT")
            pdf.ln(3)
    return bytes(pdf.output())


if __name__ == "__main__":
    main()
