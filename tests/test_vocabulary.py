import pytest

from animix.timeline.vocabulary import RESERVED
from tests.test_reader import mistakes_of

WORDS = (
    *("b", "beat", "beats", "bar", "bars", "s", "ms", "f", "t", "u", "n", "key", "sine", "noise"),
    *("random", "fixed", "seeds", "path", "space", "spline", "file", "cover", "extend", "mix"),
    *("min", "max", "clamp", "rms", "onset", "end", "every", "all", "hold", "codec", "preset"),
)


@pytest.mark.parametrize("word", WORDS)
def test_no_network_is_named_with_a_word_of_the_language(word):
    assert word in RESERVED
    (found,) = mistakes_of(f"networks: {{{word}: a.pkl}}\nduration: 6s\n")
    assert "it is a word of this language" in found.message
