"""totals.py DIR: one line with what the junit files in DIR count, then one a reason for skipping. Nothing where there are none."""
import sys
import xml.etree.ElementTree as ET
from collections import Counter
from pathlib import Path

passed = failed = 0
skipped = Counter()
for path in sorted(Path(sys.argv[1]).glob("*.xml")):
    for case in ET.parse(path).getroot().iter("testcase"):
        skip = case.find("skipped")
        if case.find("failure") is not None or case.find("error") is not None:
            failed += 1
        elif skip is not None:
            skipped[skip.get("message", "no reason was given")] += 1
        else:
            passed += 1
if passed or failed or skipped:
    print(f"pytest: {passed} passed, {failed} failed, {sum(skipped.values())} skipped")
for reason, n in skipped.most_common():
    print(f"  {n} skipped: {reason}")
