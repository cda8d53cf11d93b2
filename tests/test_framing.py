from __future__ import annotations

import math
import re
from typing import get_args

import pytest

from animix.errors import OptionError
from animix.timeline.framing import Fit, Framing


@pytest.mark.parametrize("fit", get_args(Fit))
def test_each_fit_of_the_language_is_taken(fit):
    assert Framing(fit, zoom=1.5, pan_x=-1, pan_y=2, rotate=-720, background=(0, 128, 255))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"fit": "fill"}, 'fit is "fill": expected one of blur, cover, contain, stretch'),
        ({"zoom": 0}, "zoom is 0: expected a number above 0"),
        ({"zoom": -1.0}, "zoom is -1.0"),
        ({"zoom": math.inf}, "zoom is inf"),
        ({"pan_x": math.nan}, "pan_x is nan: expected a finite number"),
        ({"pan_y": math.inf}, "pan_y is inf"),
        ({"rotate": -math.inf}, "rotate is -inf"),
        ({"background": (0, 0, 256)}, "background is (0, 0, 256): expected red, green and blue"),
        ({"background": (0, -1, 0)}, "background is (0, -1, 0)"),
        ({"background": (0, 0)}, "background is (0, 0)"),
    ],
)
def test_framings_that_can_not_be_drawn_are_refused(changes, words):
    with pytest.raises(OptionError, match=re.escape(words)):
        Framing(**changes)
