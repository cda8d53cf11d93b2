"""The command that writes the language as a JSON Schema, for editors."""

from __future__ import annotations

import json

from animix.cli.app import Output, end
from animix.cli.report import choose_report
from animix.whole_file import whole_file


def schema(output: Output = None) -> None:
    """Write the timeline's JSON Schema: with it an editor completes, explains and underlines.

    Begin a timeline with ``# yaml-language-server: $schema=animix.schema.json``.
    """
    from animix.timeline.schema import timeline_schema

    text = json.dumps(timeline_schema(), indent=2, ensure_ascii=False) + "\n"
    report = choose_report(as_json=False, quiet=False)
    if output is None:
        report.result(*text.rstrip("\n").split("\n"))
    else:
        with whole_file(output) as part:
            part.write_text(text, encoding="utf-8")
        report.result(f"{output}  begin timelines with: # yaml-language-server: $schema={output}")
    end(report)
