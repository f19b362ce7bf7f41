"""Words that are looked for: each class once as it is met most, and once as it could hurt most."""

from __future__ import annotations

from collections.abc import Mapping

from bench.console.held import LARGEST
from bench.console.pages import ORDINARY

SEARCHES: Mapping[str, Mapping[str, str]] = {
    "rare word": {"words": "fewest"},
    "word of no record": {"words": "nowhere"},
    "word of some hundred": {"words": "w20011"},
    "word of ten thousand": {"words": "tenth"},
    "common word": {"words": "anew"},
    "common word of old records": {"words": "formerly"},
    "two common words": {"words": "anew wherever"},
    "two common words that never meet": {"words": "wherever whenever"},
    "common and rare word": {"words": "anew fewest"},
    "common or rare word": {"words": "anew or fewest"},
    "common word without another": {"words": "anew -wherever"},
    "not a word": {"words": "-anew"},
    "common word, one connection": {"words": "anew", "connection": str(ORDINARY)},
    "common word, largest connection": {"words": "anew", "connection": str(LARGEST)},
    "common word, connection without it": {"words": "largest", "connection": str(ORDINARY)},
    "common word, one stream": {"words": "anew", "stream": "memories"},
    "common word, stream of a connection": {"words": "wherever", "connection": str(ORDINARY), "stream": "memories"},
}
"""Name to the fields of the form."""
