"""The catalogue of bugs: each is one that a port could have, and names who has to catch it."""

from __future__ import annotations

from .attention import ATTENTION
from .casts import CASTS
from .compiled import COMPILED
from .distributed import DISTRIBUTED
from .door import FILES, RUNS, SAMPLING
from .efficientnet import EFFICIENTNET
from .files import RUN_FILES
from .formulas import OBJECTIVE, PROCESS
from .graphs import GRAPHS
from .guidance import GUIDANCE
from .inception import INCEPTION
from .latents import LATENTS
from .likelihood import LIKELIHOOD
from .network import KERNELS, LAYERS, NETWORK
from .numbers import BATCHES, NUMBERS
from .objectives import DRAWN, SCALED
from .precision import PRECISION
from .processes import PROCESSES
from .rules import RULES
from .samplers import FIRST_PORT, LIMITS, PLANS, STEP
from .shapes import SHAPES
from .sizes import NOT_FINITE, SIZES
from .state import STATE
from .sums import ROUNDED, SUMS
from .tasks import TASKS
from .text import TEXT
from .training import TRAINING
from .variance import VARIANCE

BUGS = [
    *PROCESS,
    *OBJECTIVE,
    *SCALED,
    *DRAWN,
    *VARIANCE,
    *FIRST_PORT,
    *STEP,
    *PLANS,
    *LIMITS,
    *GUIDANCE,
    *TASKS,
    *LAYERS,
    *KERNELS,
    *ATTENTION,
    *COMPILED,
    *NETWORK,
    *SHAPES,
    *TEXT,
    *LATENTS,
    *EFFICIENTNET,
    *INCEPTION,
    *LIKELIHOOD,
    *TRAINING,
    *PRECISION,
    *DISTRIBUTED,
    *SUMS,
    *ROUNDED,
    *SIZES,
    *NOT_FINITE,
    *STATE,
    *NUMBERS,
    *BATCHES,
    *SAMPLING,
    *FILES,
    *RUNS,
    *CASTS,
    *PROCESSES,
    *GRAPHS,
    *RUN_FILES,
    *RULES,
]
