import ModelIR

extension Reference {
    static func reduce(_ reduction: Reduction, axes: [Int], _ x: ReferenceArray, _ type: ConcreteType) -> ReferenceArray {
        let kept = x.shape.indices.map { axes.contains($0) ? 1 : x.shape[$0] }
        let strides = zip(contiguousStrides(kept), x.shape.indices).map { axes.contains($1) ? 0 : $0 }
        let walk = StridedWalk(x.shape, contiguousStrides(x.shape), strides)
        let size = axes.reduce(1) { $0 * x.shape[$1] }
        switch x.elements {
        case .real(let values):
            var result: [Double]
            switch reduction {
            case .sum, .any: result = fold(walk, values, from: 0, count: type.count) { $0 + $1 }
            case .mean:
                result = fold(walk, values, from: 0, count: type.count) { $0 + $1 }
                for i in result.indices { result[i] /= Double(size) }
            case .product, .all: result = fold(walk, values, from: 1, count: type.count) { $0 * $1 }
            case .maximum: result = fold(walk, values, from: -.infinity, count: type.count) { BinaryFunction.maximum.evaluate($0, $1) }
            case .minimum: result = fold(walk, values, from: .infinity, count: type.count) { BinaryFunction.minimum.evaluate($0, $1) }
            }
            return ReferenceArray(type, result)
        case .integer(let values):
            var result: [Int64]
            let range = type.dtype.integerRange
            switch reduction {
            case .sum: result = fold(walk, values, from: 0, count: type.count) { $0 &+ $1 }
            case .mean:
                result = fold(walk, values, from: 0, count: type.count) { $0 &+ $1 }
                for i in result.indices { result[i] = BinaryFunction.divide.evaluate(result[i], Int64(size)) }
            case .product: result = fold(walk, values, from: 1, count: type.count) { $0 &* $1 }
            case .maximum: result = fold(walk, values, from: range.lowerBound, count: type.count) { max($0, $1) }
            case .minimum: result = fold(walk, values, from: range.upperBound, count: type.count) { min($0, $1) }
            case .any: result = fold(walk, values, from: 0, count: type.count) { $0 | $1 }
            case .all: result = fold(walk, values, from: 1, count: type.count) { $0 & $1 }
            }
            return ReferenceArray(type, result.map { type.dtype.wrapped($0) })
        }
    }

    /// Combines every element of `values` into its place; operands of the walk are values, result.
    @inline(__always)
    private static func fold<T>(_ walk: StridedWalk, _ values: [T], from start: T, count: Int, _ combine: (T, T) -> T) -> [T] {
        var result = [T](repeating: start, count: count)
        result.withUnsafeMutableBufferPointer { result in
            values.withUnsafeBufferPointer { values in
                let (n, step) = (walk.rowLength, walk.rowStrides)
                walk.forEachRow { at in
                    if step[1] == 0 {
                        var total = result[at[1]]
                        for i in 0..<n { total = combine(total, values[at[0] &+ i &* step[0]]) }
                        result[at[1]] = total
                    } else {
                        for i in 0..<n {
                            let place = at[1] &+ i &* step[1]
                            result[place] = combine(result[place], values[at[0] &+ i &* step[0]])
                        }
                    }
                }
            }
        }
        return result
    }

    static func cumulativeSum(axis: Int, _ x: ReferenceArray, _ type: ConcreteType) -> ReferenceArray {
        let (outer, size, inner) = split(x.shape, at: axis)
        func run<T>(_ values: [T], _ add: (T, T) -> T) -> [T] {
            var result = values
            for o in 0..<outer {
                for i in stride(from: 1, to: size, by: 1) {
                    let row = (o * size + i) * inner
                    for j in 0..<inner { result[row + j] = add(result[row - inner + j], result[row + j]) }
                }
            }
            return result
        }
        switch x.elements {
        case .real(let values): return ReferenceArray(type, run(values, +))
        case .integer(let values): return ReferenceArray(type, run(values) { type.dtype.wrapped($0 &+ $1) })
        }
    }

    /// The first of equals; a NaN counts as greatest, as in NumPy.
    static func argmax(axis: Int, _ x: ReferenceArray, _ type: ConcreteType) -> ReferenceArray {
        let (outer, size, inner) = split(x.shape, at: axis)
        func run<T>(_ values: [T], _ isGreater: (T, T) -> Bool) -> [Int64] {
            var result = [Int64](repeating: 0, count: outer * inner)
            for o in 0..<outer {
                for j in 0..<inner {
                    var best = 0
                    for i in stride(from: 1, to: size, by: 1)
                    where isGreater(values[(o * size + i) * inner + j], values[(o * size + best) * inner + j]) {
                        best = i
                    }
                    result[o * inner + j] = Int64(best)
                }
            }
            return result
        }
        switch x.elements {
        case .real(let values): return ReferenceArray(type, run(values) { !$1.isNaN && ($0.isNaN || $0 > $1) })
        case .integer(let values): return ReferenceArray(type, run(values, >))
        }
    }

    /// Ascending, NaN last, equals in their order; gives values and positions.
    static func sort(axis: Int, _ x: ReferenceArray, _ types: [ConcreteType]) -> [ReferenceArray] {
        let (outer, size, inner) = split(x.shape, at: axis)
        var positions = [Int64](repeating: 0, count: x.count)
        func run<T>(_ values: [T], _ isLess: (T, T) -> Bool) -> [T] {
            var result = values
            for o in 0..<outer {
                for j in 0..<inner {
                    func at(_ i: Int) -> Int { (o * size + i) * inner + j }
                    let order = (0..<size).sorted { a, b in
                        let (x, y) = (values[at(a)], values[at(b)])
                        return isLess(x, y) || (!isLess(y, x) && a < b)
                    }
                    for (i, source) in order.enumerated() {
                        result[at(i)] = values[at(source)]
                        positions[at(i)] = Int64(source)
                    }
                }
            }
            return result
        }
        switch x.elements {
        case .real(let values):
            let sorted = run(values) { !$0.isNaN && ($1.isNaN || $0 < $1) }
            return [ReferenceArray(types[0], sorted), ReferenceArray(types[1], positions)]
        case .integer(let values):
            let sorted = run(values, <)
            return [ReferenceArray(types[0], sorted), ReferenceArray(types[1], positions)]
        }
    }
}
