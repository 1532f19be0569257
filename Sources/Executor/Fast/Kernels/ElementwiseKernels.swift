import CKernels
import Glibc
import ModelIR

/// Unary, binary, compare, select and cast on every storage kind.
enum ElementwiseKernels: KernelFamily {
    static func kernel(_ request: KernelRequest) throws -> Kernel? {
        // Families are chosen by op, and this is no place that must learn of a new one: what isn't listed goes on to the next family.
        if case .unary(let function) = request.node.op { return unary(function, request) }
        if case .binary(let function) = request.node.op { return binary(function, request) }
        if case .compare(let comparison) = request.node.op { return compare(comparison, request) }
        if case .select = request.node.op { return select(request) }
        if case .cast = request.node.op { return cast(request) }
        return nil
    }

    // MARK: - One operand

    private static func unary(_ function: UnaryFunction, _ request: KernelRequest) -> Kernel? {
        let (x, y, team) = (request.inputs[0], request.outputs[0], request.team)
        let count = x.count
        switch x.kind {
        case .bool: return function == .not ? { for i in 0..<count { y.flags[i] = x.flags[i] == 0 ? 1 : 0 } } : nil
        case .integer: return nil
        case .float: break
        }
        func vector(_ code: Int, cost: Int) -> Kernel {
            {
                let table = ck_math_table().pointee
                team.split(count, cost: cost, multiple: 16) {
                    table.unary(Int32(code), $0.count, x.floats + $0.lowerBound, y.floats + $0.lowerBound)
                }
            }
        }
        func scalar(_ f: @escaping (Float) -> Float) -> Kernel {
            { team.split(count, cost: 30) { for i in $0 { y.floats[i] = f(x.floats[i]) } } }
        }
        switch function {
        case .negate: return vector(CK_NEGATE, cost: 1)
        case .absolute: return vector(CK_ABSOLUTE, cost: 1)
        case .sign: return vector(CK_SIGN, cost: 1)
        case .reciprocal: return vector(CK_RECIPROCAL, cost: 2)
        case .sqrt: return vector(CK_SQRT, cost: 2)
        case .rsqrt: return vector(CK_RSQRT, cost: 2)
        case .exp: return vector(CK_EXP, cost: 4)
        case .tanh: return vector(CK_TANH_OF, cost: 4)
        case .erf: return vector(CK_ERF, cost: 6)
        case .floor: return vector(CK_FLOOR, cost: 1)
        case .ceil: return vector(CK_CEIL, cost: 1)
        case .round: return vector(CK_ROUND, cost: 1)
        case .log: return scalar { Glibc.logf($0) }
        case .log1p: return scalar { Glibc.log1pf($0) }
        case .sin: return scalar { Glibc.sinf($0) }
        case .cos: return scalar { Glibc.cosf($0) }
        case .not: return nil
        }
    }

    private static func cast(_ request: KernelRequest) -> Kernel {
        let (x, y, dtype) = (request.inputs[0], request.outputs[0], request.outputs[0].type.dtype)
        let count = x.count
        switch (x.kind, y.kind) {
        case (.float, .float): return { y.pointer.copyMemory(from: x.pointer, byteCount: x.byteCount) }
        case (.float, .integer): return { for i in 0..<count { y.integers[i] = truncatedInteger(Double(x.floats[i]), dtype) } }
        case (.float, .bool): return { for i in 0..<count { y.flags[i] = x.floats[i] == 0 ? 0 : 1 } }
        case (.integer, .float): return { for i in 0..<count { y.floats[i] = Float(x.integers[i]) } }
        case (.integer, .integer): return { for i in 0..<count { y.integers[i] = dtype.wrapped(x.integers[i]) } }
        case (.integer, .bool): return { for i in 0..<count { y.flags[i] = x.integers[i] == 0 ? 0 : 1 } }
        case (.bool, .float): return { for i in 0..<count { y.floats[i] = Float(x.flags[i]) } }
        case (.bool, .integer): return { for i in 0..<count { y.integers[i] = Int64(x.flags[i]) } }
        case (.bool, .bool): return { y.pointer.copyMemory(from: x.pointer, byteCount: x.byteCount) }
        }
    }

    // MARK: - Two and three operands, broadcast

    private static func schedule(_ request: KernelRequest) -> RowSchedule {
        let shape = request.outputs[0].shape
        func strides(_ i: Int) -> [Int] { broadcastStrides(request.inputs[i].shape, to: shape) }
        return request.inputs.count == 3
            ? RowSchedule(StridedWalk(shape, contiguousStrides(shape), strides(0), strides(1), strides(2)))
            : RowSchedule(StridedWalk(shape, contiguousStrides(shape), strides(0), strides(1)))
    }

    private static func binary(_ function: BinaryFunction, _ request: KernelRequest) -> Kernel {
        let (a, b, y, team) = (request.inputs[0], request.inputs[1], request.outputs[0], request.team)
        let (rows, dtype) = (schedule(request), request.outputs[0].type.dtype)
        switch a.kind {
        case .integer:
            return map(rows, team, a.integers, b.integers, y.integers, holding: request) { dtype.wrapped(function.evaluate($0, $1)) }
        case .bool:
            return function == .and
                ? map(rows, team, a.flags, b.flags, y.flags, holding: request) { $0 & $1 }
                : map(rows, team, a.flags, b.flags, y.flags, holding: request) { $0 | $1 }
        case .float: break
        }
        func vector(_ code: Int) -> Kernel {
            // An operand that doesn't move along a row has step 0, every other one lies dense.
            let (aStep, bStep) = (Int32(rows.walk.rowStrides[1] == 0 ? 0 : 1), Int32(rows.walk.rowStrides[2] == 0 ? 0 : 1))
            return {
                let apply = ck_math_table().pointee.binary
                rows.run(team) { at, n in apply?(Int32(code), n, a.floats + at[1], aStep, b.floats + at[2], bStep, y.floats + at[0]) }
            }
        }
        switch function {
        case .add: return vector(CK_ADD)
        case .subtract: return vector(CK_SUBTRACT)
        case .multiply: return vector(CK_MULTIPLY)
        case .divide: return vector(CK_DIVIDE)
        case .maximum: return vector(CK_MAXIMUM)
        case .minimum: return vector(CK_MINIMUM)
        case .power, .remainder, .and, .or:
            return map(rows, team, a.floats, b.floats, y.floats, holding: request) { Float(function.evaluate(Double($0), Double($1))) }
        }
    }

    private static func compare(_ comparison: Comparison, _ request: KernelRequest) -> Kernel? {
        let (a, b, y, rows) = (request.inputs[0], request.inputs[1], request.outputs[0], schedule(request))
        guard a.kind == b.kind else { return nil }
        switch a.kind {
        case .float: return map(rows, request.team, a.floats, b.floats, y.flags, holding: request) { comparison.evaluate($0, $1) ? 1 : 0 }
        case .integer:
            return map(rows, request.team, a.integers, b.integers, y.flags, holding: request) { comparison.evaluate($0, $1) ? 1 : 0 }
        case .bool: return map(rows, request.team, a.flags, b.flags, y.flags, holding: request) { comparison.evaluate($0, $1) ? 1 : 0 }
        }
    }

    @inline(__always)
    private static func map<T, U>(
        _ rows: RowSchedule, _ team: ThreadTeam, _ a: UnsafeMutablePointer<T>, _ b: UnsafeMutablePointer<T>, _ y: UnsafeMutablePointer<U>,
        holding request: KernelRequest, _ f: @escaping (T, T) -> U
    ) -> Kernel {
        {
            withExtendedLifetime(request) {
                let step = rows.walk.rowStrides
                rows.run(team, cost: 2) { at, n in
                    let (target, x, z) = (y + at[0], a + at[1], b + at[2])
                    for i in 0..<n { target[i] = f(x[i &* step[1]], z[i &* step[2]]) }
                }
            }
        }
    }

    private static func select(_ request: KernelRequest) -> Kernel {
        let (condition, a, b, y) = (request.inputs[0], request.inputs[1], request.inputs[2], request.outputs[0])
        let (rows, team) = (schedule(request), request.team)
        func run<T>(_ pointer: @escaping (BufferView) -> UnsafeMutablePointer<T>) -> Kernel {
            {
                let step = rows.walk.rowStrides
                rows.run(team) { at, n in
                    let (target, flags, x, z) = (pointer(y) + at[0], condition.flags + at[1], pointer(a) + at[2], pointer(b) + at[3])
                    for i in 0..<n { target[i] = flags[i &* step[1]] != 0 ? x[i &* step[2]] : z[i &* step[3]] }
                }
            }
        }
        switch y.kind {
        case .float: return run { $0.floats }
        case .integer: return run { $0.integers }
        case .bool: return run { $0.flags }
        }
    }
}
