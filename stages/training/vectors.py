"""Vectors of floats for what Numba compiles: loops over elements leave LLVM too little to go on.

A vector is one LLVM value of 8 to 32 float32, which stays in registers where a loop over its
elements would store each partial sum. Code that uses these runs three to six times faster.

Numba keeps machine code beside the functions that it compiles, and does not see an edit here:
`make clean` after one.
"""
# mypy: ignore-errors
# These are functions of types and of LLVM's code.

from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic, models, register_model

LINE = 64
"""Bytes of a cache line: a vector that crosses into another takes half as long again to read."""


class Vector(types.Type):
    """So many float32."""

    def __init__(self, size):
        self.size = size
        self.llvm = ir.VectorType(ir.FloatType(), size)
        super().__init__(f"Vector({size})")


@register_model(Vector)
class _Model(models.PrimitiveModel):
    def __init__(self, manager, vector):
        super().__init__(manager, vector, vector.llvm)


def compiled(signature):
    """Compile for this processor, to run beside other threads; keep the code in `__pycache__`."""
    return njit(signature, nogil=True, cache=True)


def _pointer(context, builder, kind, array, first, vector):
    data = context.make_array(kind)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [first]), vector.llvm.as_pointer())


def _load(size):
    vector = Vector(size)

    @intrinsic
    def load(typing, array, first):
        """Elements of a contiguous array from number `first`, as if it were flat."""

        def code(context, builder, signature, arguments):
            kind = signature.args[0]
            return builder.load(_pointer(context, builder, kind, *arguments, vector), align=4)

        return vector(array, types.uintp), code

    return load


def _repeated(vector, builder, value):
    index = ir.IntType(32)
    nothing = ir.Constant(vector.llvm, ir.Undefined)
    first = builder.insert_element(nothing, value, index(0))
    zeros = ir.Constant(ir.VectorType(index, vector.size), None)
    return builder.shuffle_vector(first, nothing, zeros)


def _repeat(size):
    vector = Vector(size)

    @intrinsic
    def repeat(typing, value):
        """A vector of one value."""

        def code(context, builder, signature, arguments):
            return _repeated(vector, builder, arguments[0])

        return vector(types.float32), code

    return repeat


def _spread(size):
    vector = Vector(size)

    @intrinsic
    def spread(typing, array, at):
        """A vector of one element of a contiguous array, numbered as if it were flat."""

        def code(context, builder, signature, arguments):
            array, at = arguments
            data = context.make_array(signature.args[0])(context, builder, array).data
            return _repeated(vector, builder, builder.load(builder.gep(data, [at])))

        return vector(array, types.uintp), code

    return spread


load8, load16, load32 = map(_load, (8, 16, 32))
repeat8, repeat32 = map(_repeat, (8, 32))
spread8 = _spread(8)


@intrinsic
def store(typing, array, first, vector):
    """Set elements of a contiguous array from number `first`, as if it were flat."""

    def code(context, builder, signature, arguments):
        kind, _, vector = signature.args
        pointer = _pointer(context, builder, kind, *arguments[:2], vector)
        builder.store(arguments[2], pointer, align=4)
        return context.get_dummy_value()

    return types.void(array, types.uintp, vector), code


@intrinsic
def add(typing, a, b):
    """a + b."""

    def code(context, builder, signature, arguments):
        return builder.fadd(*arguments)

    return a(a, b), code


@intrinsic
def multiply_add(typing, a, b, c):
    """a b + c, rounded once."""

    def code(context, builder, signature, arguments):
        kind = arguments[0].type
        fma = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(kind, [kind] * 3), f"llvm.fma.v{kind.count}f32"
        )
        return builder.call(fma, arguments)

    return a(a, b, c), code


@intrinsic
def where_larger(typing, a, b, yes, no):
    """The lanes of `yes` where a > b or one of them is no number, else those of `no`."""

    def code(context, builder, signature, arguments):
        return builder.select(builder.fcmp_unordered(">", *arguments[:2]), *arguments[2:])

    return a(a, b, yes, no), code


@intrinsic
def positive(typing, a):
    """Which elements of 32 are above 0 or no numbers: a bit for each."""

    def code(context, builder, signature, arguments):
        zeros = ir.Constant(arguments[0].type, None)
        return builder.bitcast(builder.fcmp_unordered(">", arguments[0], zeros), ir.IntType(32))

    return types.uint32(Vector(32)), code


@intrinsic
def where(typing, bits, a):
    """The elements of 32 whose bits are ones; 0 for the others."""

    def code(context, builder, signature, arguments):
        chosen = builder.bitcast(arguments[0], ir.VectorType(ir.IntType(1), 32))
        return builder.select(chosen, arguments[1], ir.Constant(arguments[1].type, None))

    return a(types.uint32, a), code


@intrinsic
def dot(typing, a, b):
    """The sum of the products: halves are added until one is left."""

    def code(context, builder, signature, arguments):
        rest, size = builder.fmul(*arguments), signature.args[0].size
        while size > 1:
            size //= 2
            halves = (
                ir.Constant(ir.VectorType(ir.IntType(32), size), list(range(first, first + size)))
                for first in (0, size)
            )
            rest = builder.fadd(*(builder.shuffle_vector(rest, rest, half) for half in halves))
        return builder.extract_element(rest, ir.IntType(32)(0))

    return types.float32(a, b), code
