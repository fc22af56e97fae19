"""How loops over rows are compiled."""

from collections.abc import Callable
from typing import Any

import numba
from llvmlite import ir
from numba import types
from numba.extending import intrinsic


def kernel(function: Callable[..., Any]) -> Any:
    """Compile a function that holds no lock, so that threads run it side by side.

    What is compiled is kept on disk, in the package's folder or else the user's. numba's own
    threads are not asked for: they take long to compile and quarrel with those of other libraries.
    """
    try:
        return numba.njit(nogil=True, cache=True)(function)
    except RuntimeError:  # neither folder can be written
        return numba.njit(nogil=True)(function)


@intrinsic  # type: ignore[untyped-decorator]
def lowest_bit(context: Any, value: Any) -> Any:
    """Return the position of the lowest bit that is set."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 0))

    return types.uint64(types.uint64), generate
