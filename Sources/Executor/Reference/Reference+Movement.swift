import ModelIR

// Ops that move elements and compute nothing: each is one strided copy, or several.

extension Reference {
    /// `operation` on either kind of storage.
    private static func moving(
        _ x: ReferenceArray, _ type: ConcreteType, _ real: ([Double]) -> [Double], _ integer: ([Int64]) -> [Int64]
    ) -> ReferenceArray {
        switch x.elements {
        case .real(let values): ReferenceArray(type, real(values))
        case .integer(let values): ReferenceArray(type, integer(values))
        }
    }

    /// A dense array read through `strides` from `offset`.
    private static func strided<T>(_ values: [T], _ shape: [Int], offset: Int, strides: [Int]) -> [T] {
        let count = shape.reduce(1, *)
        return [T](unsafeUninitializedCapacity: count) { result, initialized in
            let walk = StridedWalk(shape, contiguousStrides(shape), strides)
            let (n, step) = (walk.rowLength, walk.rowStrides)
            values.withUnsafeBufferPointer { values in
                guard let out = result.baseAddress, let source = values.baseAddress else { return }
                walk.forEachRow { at in
                    let (r, s) = (out + at[0], source + offset + at[1])
                    for i in 0..<n { (r + i).initialize(to: s[i &* step[1]]) }
                }
            }
            initialized = count
        }
    }

    private static func strided(_ x: ReferenceArray, _ type: ConcreteType, offset: Int = 0, strides: [Int]) -> ReferenceArray {
        moving(
            x, type, { strided($0, type.shape, offset: offset, strides: strides) },
            { strided($0, type.shape, offset: offset, strides: strides) })
    }

    static func reshape(_ x: ReferenceArray, _ type: ConcreteType) -> ReferenceArray {
        var copy = x
        copy.type = type
        return copy
    }

    static func transpose(_ permutation: [Int], _ x: ReferenceArray, _ type: ConcreteType) -> ReferenceArray {
        let strides = contiguousStrides(x.shape)
        return strided(x, type, strides: permutation.map { strides[$0] })
    }

    static func broadcast(_ x: ReferenceArray, _ type: ConcreteType) -> ReferenceArray {
        strided(x, type, strides: broadcastStrides(x.shape, to: type.shape))
    }

    static func slice(_ ranges: [SliceRange], _ x: ReferenceArray, _ type: ConcreteType) -> ReferenceArray {
        let strides = contiguousStrides(x.shape)
        let offset = zip(ranges.indices, ranges).reduce(0) { $0 + $1.1.bounds(x.shape[$1.0]).lowerBound * strides[$1.0] }
        return strided(x, type, offset: offset, strides: zip(strides, ranges).map { $0 * $1.step })
    }

    static func reverse(axes: [Int], _ x: ReferenceArray, _ type: ConcreteType) -> ReferenceArray {
        var strides = contiguousStrides(x.shape)
        var offset = 0
        for axis in Set(axes) {
            offset += (x.shape[axis] - 1) * strides[axis]
            strides[axis] = -strides[axis]
        }
        return strided(x, type, offset: offset, strides: strides)
    }

    /// Copies a block of `shape` between two dense arrays.
    private static func copy<T>(
        _ shape: [Int], from source: [T], at sourceOffset: Int, _ sourceStrides: [Int], to target: inout [T], at targetOffset: Int,
        _ targetStrides: [Int]
    ) {
        let walk = StridedWalk(shape, targetStrides, sourceStrides)
        let (n, step) = (walk.rowLength, walk.rowStrides)
        target.withUnsafeMutableBufferPointer { target in
            source.withUnsafeBufferPointer { source in
                walk.forEachRow { at in
                    for i in 0..<n { target[targetOffset + at[0] + i &* step[0]] = source[sourceOffset + at[1] + i &* step[1]] }
                }
            }
        }
    }

    static func pad(_ widths: [PadWidth], value: Double, _ x: ReferenceArray, _ type: ConcreteType) -> ReferenceArray {
        let (from, to) = (contiguousStrides(x.shape), contiguousStrides(type.shape))
        var (shape, source, target) = ([Int](), 0, 0)
        for (axis, width) in widths.enumerated() {
            // A negative width cuts.
            let first = max(0, -width.before)
            shape.append(max(0, min(x.shape[axis], x.shape[axis] + width.after) - first))
            source += first * from[axis]
            target += max(0, width.before) * to[axis]
        }
        func run<T>(_ values: [T], _ filler: T) -> [T] {
            var result = [T](repeating: filler, count: type.count)
            copy(shape, from: values, at: source, from, to: &result, at: target, to)
            return result
        }
        return moving(x, type, { run($0, value) }, { run($0, truncatedInteger(value, type.dtype)) })
    }

    static func concat(axis: Int, _ inputs: [ReferenceArray], _ type: ConcreteType) -> ReferenceArray {
        func run<T>(_ parts: [[T]], _ filler: T) -> [T] {
            var result = [T](repeating: filler, count: type.count)
            let to = contiguousStrides(type.shape)
            var position = 0
            for (part, input) in zip(parts, inputs) {
                copy(input.shape, from: part, at: 0, contiguousStrides(input.shape), to: &result, at: position * to[axis], to)
                position += input.shape[axis]
            }
            return result
        }
        return type.dtype.isFloat
            ? ReferenceArray(type, run(inputs.map(\.doubles), 0)) : ReferenceArray(type, run(inputs.map(\.integers), 0))
    }

    /// - Throws: `InputError` for an index outside the axis.
    static func gather(
        axis: Int, _ x: ReferenceArray, _ indices: ReferenceArray, _ type: ConcreteType, _ node: ConcreteNode
    ) throws -> ReferenceArray {
        let (outer, size, inner) = split(x.shape, at: axis)
        let rows = indices.integers
        try checkIndices(rows, below: size, shape: indices.shape, node)
        func run<T>(_ values: [T]) -> [T] {
            [T](unsafeUninitializedCapacity: type.count) { result, initialized in
                values.withUnsafeBufferPointer { values in
                    guard var out = result.baseAddress, let source = values.baseAddress else { return }
                    for o in 0..<outer {
                        for row in rows {
                            out.initialize(from: source + (o * size + Int(row)) * inner, count: inner)
                            out += inner
                        }
                    }
                }
                initialized = type.count
            }
        }
        return moving(x, type, run, run)
    }

    /// - Throws: `InputError` for an index outside the axis.
    static func scatter(
        axis: Int, _ x: ReferenceArray, _ indices: ReferenceArray, _ updates: ReferenceArray, _ type: ConcreteType, _ node: ConcreteNode
    ) throws -> ReferenceArray {
        let (outer, size, inner) = split(x.shape, at: axis)
        let rows = indices.integers
        try checkIndices(rows, below: size, shape: indices.shape, node)
        func run<T>(_ values: [T], _ updates: [T]) -> [T] {
            var result = values
            for o in 0..<outer {
                for (i, row) in rows.enumerated() {
                    let (to, from) = ((o * size + Int(row)) * inner, (o * rows.count + i) * inner)
                    for j in 0..<inner { result[to + j] = updates[from + j] }
                }
            }
            return result
        }
        return moving(x, type, { run($0, updates.doubles) }, { run($0, updates.integers) })
    }

    static func iota(axis: Int, _ type: ConcreteType) -> ReferenceArray {
        let (outer, size, inner) = split(type.shape, at: axis)
        var result: [Int64] = []
        result.reserveCapacity(type.count)
        for _ in 0..<outer {
            for i in 0..<size {
                for _ in 0..<inner { result.append(type.dtype.wrapped(Int64(i))) }
            }
        }
        return type.dtype.isFloat ? ReferenceArray(type, result.map { Double($0) }) : ReferenceArray(type, result)
    }
}
