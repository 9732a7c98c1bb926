"""Add four numbers at once: what histograms of rows, and sums over trees, spend their time on."""

from __future__ import annotations

from typing import Any

from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.extending import intrinsic

#: Columns that are added together.
LANES = 4


@intrinsic  # type: ignore[untyped-decorator]
def add_four(_typing: Any, sums: Any, at: Any, table: Any, first: Any) -> Any:
    """Do ``sums.flat[at : at + 4] += table.flat[first : first + 4]``, for C-ordered float64, as one vector addition.

    The compiler can't know that the two arrays are apart, so it would add one number after another. Places are not
    checked.
    """

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        vector = ir.VectorType(ir.DoubleType(), LANES)

        def place(array: int, index: int) -> Any:
            data = context.make_array(signature.args[array])(context, builder, args[array]).data
            wide = context.cast(builder, args[index], signature.args[index], types.intp)
            return builder.bitcast(builder.gep(data, [wide]), vector.as_pointer())

        to, source = place(0, 1), place(2, 3)
        total = builder.fadd(builder.load(to, align=8), builder.load(source, align=8))
        builder.store(total, to, align=8)
        return context.get_dummy_value()

    return types.void(sums, at, table, first), codegen
