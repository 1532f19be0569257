/// A walk over the elements of a shape, row by row, with the positions of up to four operands.
///
/// Neighbouring dimensions that every operand lays out as one are merged, so contiguous operands are a single row.
struct StridedWalk {
    private var sizes: [Int] = []
    private var strides: [SIMD4<Int>] = []
    /// Elements of a row, and how far each operand moves per element.
    private(set) var rowLength = 1
    private(set) var rowStrides = SIMD4<Int>.zero
    private(set) var isEmpty = false

    /// - Parameter strides: per operand one stride per dimension of `shape`, in elements.
    init(_ shape: [Int], _ operands: [Int]...) {
        isEmpty = shape.contains(0)
        for (axis, size) in shape.enumerated() where size != 1 {
            var stride = SIMD4<Int>.zero
            for (i, operand) in operands.enumerated() { stride[i] = operand[axis] }
            if let last = strides.last, last == stride &* SIMD4(repeating: size) {
                sizes[sizes.count - 1] *= size
                strides[strides.count - 1] = stride
            } else {
                sizes.append(size)
                strides.append(stride)
            }
        }
        if let size = sizes.popLast(), let stride = strides.popLast() {
            rowLength = size
            rowStrides = stride
        }
    }

    /// Rows in all.
    var rowCount: Int { isEmpty ? 0 : sizes.reduce(1, *) }

    /// Calls `body` with every operand's position at the start of each row, in order.
    @inline(__always)
    func forEachRow(_ body: (SIMD4<Int>) throws -> Void) rethrows {
        if isEmpty { return }
        var counters = [Int](repeating: 0, count: sizes.count)
        var offsets = SIMD4<Int>.zero
        while true {
            try body(offsets)
            var axis = sizes.count - 1
            while axis >= 0 {
                counters[axis] += 1
                offsets &+= strides[axis]
                if counters[axis] < sizes[axis] { break }
                offsets &-= strides[axis] &* SIMD4(repeating: sizes[axis])
                counters[axis] = 0
                axis -= 1
            }
            if axis < 0 { return }
        }
    }
}

/// Row-major strides, in elements.
func contiguousStrides(_ shape: [Int]) -> [Int] {
    var strides = [Int](repeating: 1, count: shape.count)
    var product = 1
    for axis in shape.indices.reversed() {
        strides[axis] = product
        product *= shape[axis]
    }
    return strides
}

/// Strides with which a dense array of `shape` reads as one of `target`, NumPy's way: 0 where it is repeated.
func broadcastStrides(_ shape: [Int], to target: [Int]) -> [Int] {
    let own = contiguousStrides(shape)
    let missing = target.count - shape.count
    return target.indices.map { axis in
        axis < missing || (shape[axis - missing] == 1 && target[axis] != 1) ? 0 : own[axis - missing]
    }
}

/// Products of the sizes before, at, and after an axis.
func split(_ shape: [Int], at axis: Int) -> (outer: Int, size: Int, inner: Int) {
    (shape[..<axis].reduce(1, *), shape[axis], shape[(axis + 1)...].reduce(1, *))
}
