import ModelIR

extension Reference {
    static func unary(_ function: UnaryFunction, _ x: ReferenceArray, _ type: ConcreteType) -> ReferenceArray {
        switch x.elements {
        case .real(let values): ReferenceArray(type, values.map { function.evaluate($0) })
        case .integer(let values): ReferenceArray(type, values.map { type.dtype.wrapped(function.evaluate($0)) })
        }
    }

    static func binary(_ function: BinaryFunction, _ a: ReferenceArray, _ b: ReferenceArray, _ type: ConcreteType) -> ReferenceArray {
        let walk = StridedWalk(
            type.shape, contiguousStrides(type.shape), broadcastStrides(a.shape, to: type.shape), broadcastStrides(b.shape, to: type.shape))
        switch (a.elements, b.elements) {
        case (.integer(let x), .integer(let y)):
            return ReferenceArray(type, map(walk, x, y, count: type.count) { type.dtype.wrapped(function.evaluate($0, $1)) })
        case (.real(let x), .real(let y)):
            // The frequent ones get loops of their own, without a switch per element.
            let result: [Double] =
                switch function {
                case .add: map(walk, x, y, count: type.count) { $0 + $1 }
                case .subtract: map(walk, x, y, count: type.count) { $0 - $1 }
                case .multiply: map(walk, x, y, count: type.count) { $0 * $1 }
                case .divide: map(walk, x, y, count: type.count) { $0 / $1 }
                case .maximum, .minimum, .power, .remainder, .and, .or: map(walk, x, y, count: type.count) { function.evaluate($0, $1) }
                }
            return ReferenceArray(type, result)
        case (.real, .integer), (.integer, .real):
            preconditionFailure("inference gives binary ops one dtype")
        }
    }

    static func compare(_ comparison: Comparison, _ a: ReferenceArray, _ b: ReferenceArray, _ type: ConcreteType) -> ReferenceArray {
        let walk = StridedWalk(
            type.shape, contiguousStrides(type.shape), broadcastStrides(a.shape, to: type.shape), broadcastStrides(b.shape, to: type.shape))
        switch (a.elements, b.elements) {
        case (.integer(let x), .integer(let y)):
            return ReferenceArray(type, map(walk, x, y, count: type.count) { comparison.evaluate($0, $1) ? 1 : 0 } as [Int64])
        case (.real(let x), .real(let y)):
            return ReferenceArray(type, map(walk, x, y, count: type.count) { comparison.evaluate($0, $1) ? 1 : 0 } as [Int64])
        case (.real, .integer), (.integer, .real):
            return ReferenceArray(
                type, map(walk, a.doubles, b.doubles, count: type.count) { comparison.evaluate($0, $1) ? 1 : 0 } as [Int64])
        }
    }

    static func select(
        _ condition: ReferenceArray, _ a: ReferenceArray, _ b: ReferenceArray, _ type: ConcreteType
    ) -> ReferenceArray {
        let shape = type.shape
        let walk = StridedWalk(
            shape, contiguousStrides(shape), broadcastStrides(condition.shape, to: shape), broadcastStrides(a.shape, to: shape),
            broadcastStrides(b.shape, to: shape))
        let flags = condition.integers
        func pick<T>(_ x: [T], _ y: [T]) -> [T] {
            [T](unsafeUninitializedCapacity: type.count) { result, count in
                let step = walk.rowStrides
                walk.forEachRow { at in
                    for i in 0..<walk.rowLength {
                        let value = flags[at[1] + i * step[1]] != 0 ? x[at[2] + i * step[2]] : y[at[3] + i * step[3]]
                        (result.baseAddress! + at[0] + i * step[0]).initialize(to: value)
                    }
                }
                count = type.count
            }
        }
        switch (a.elements, b.elements) {
        case (.integer(let x), .integer(let y)): return ReferenceArray(type, pick(x, y))
        case (.real, .real), (.real, .integer), (.integer, .real): return ReferenceArray(type, pick(a.doubles, b.doubles))
        }
    }

    /// f(x, y) over a walk whose operands are result, x, y.
    @inline(__always)
    private static func map<T, U>(_ walk: StridedWalk, _ x: [T], _ y: [T], count: Int, _ f: (T, T) -> U) -> [U] {
        [U](unsafeUninitializedCapacity: count) { result, initialized in
            x.withUnsafeBufferPointer { x in
                y.withUnsafeBufferPointer { y in
                    guard let out = result.baseAddress, let x = x.baseAddress, let y = y.baseAddress else { return }
                    let (n, step) = (walk.rowLength, walk.rowStrides)
                    walk.forEachRow { at in
                        let (r, a, b) = (out + at[0], x + at[1], y + at[2])
                        for i in 0..<n { (r + i).initialize(to: f(a[i &* step[1]], b[i &* step[2]])) }
                    }
                }
            }
            initialized = count
        }
    }

    static func cast(_ x: ReferenceArray, _ type: ConcreteType) -> ReferenceArray {
        switch x.elements {
        case .real(let values): ReferenceArray(type, converting: values)
        case .integer(let values):
            type.dtype.isFloat
                ? ReferenceArray(type, values.map { Double($0) }) : ReferenceArray(type, values.map { type.dtype.wrapped($0) })
        }
    }
}
