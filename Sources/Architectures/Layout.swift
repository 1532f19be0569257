import ByteIO
import ModelIR

/// A bijection of elements between two conventions of storing the same parameters: what a cell of a name table holds.
///
/// Elements move, their bytes never change, so there and back is bit-exact whatever the dtype. One tensor may become several and several one:
/// a layout takes an ordered list of tensors and gives one; which names these have is the table's business.
/// A change of values is no layout but a `Rewrite`.
public indirect enum Layout: Hashable, Sendable {
    case same
    /// Dimension `k` of the result is dimension `axes[k]` of the source.
    case transposed([Int])
    /// Another shape in row-major order. A -1 stands for whatever size fits; at most one on each side.
    case reshaped(from: [Int], to: [Int])
    /// `order.count` equal blocks along `axis` (negative: from the end); block `k` of the result is block `order[k]` of the source.
    case gates([Int], axis: Int)
    /// Several tensors joined along `axis` into one.
    case concatenated(Sections, axis: Int)
    /// One tensor cut along `axis` into several.
    case split(Sections, axis: Int)
    /// A layout for each tensor of a list.
    case each([Layout])
    /// One after the other. A layout of one tensor applies to every tensor of a list.
    case sequence([Layout])

    /// Where a dimension is cut.
    public enum Sections: Hashable, Sendable {
        case equal(Int)
        /// Sizes; one may be -1 for whatever remains.
        case sizes([Int])
    }

    /// The transposition of a matrix.
    public static let transposedMatrix = Layout.transposed([1, 0])

    /// Undoes this layout.
    public var inverse: Layout {
        switch self {
        case .same: .same
        case .transposed(let axes): .transposed(inversePermutation(axes))
        case .reshaped(let from, let to): .reshaped(from: to, to: from)
        case .gates(let order, let axis): .gates(inversePermutation(order), axis: axis)
        case .concatenated(let sections, let axis): .split(sections, axis: axis)
        case .split(let sections, let axis): .concatenated(sections, axis: axis)
        case .each(let layouts): .each(layouts.map(\.inverse))
        case .sequence(let layouts): .sequence(layouts.reversed().map(\.inverse))
        }
    }

    public func then(_ next: Layout) -> Layout {
        switch (self, next) {
        case (.same, _): next
        case (_, .same): self
        case (.sequence(let first), .sequence(let second)): .sequence(first + second)
        case (.sequence(let first), _): .sequence(first + [next])
        case (_, .sequence(let second)): .sequence([self] + second)
        default: .sequence([self, next])
        }
    }

    /// One tensor that stays one. Elements are moved when the result is read.
    /// - Throws: `FormatError` where the tensor's shape doesn't fit.
    public func apply(_ tensor: Tensor) throws -> Tensor {
        let results = try apply([tensor])
        guard results.count == 1 else { throw mismatch("a layout that gives 1 tensor", "\(results.count) tensors") }
        return results[0]
    }

    /// - Throws: `FormatError` where the tensors' number, shapes or dtypes don't fit.
    public func apply(_ tensors: [Tensor]) throws -> [Tensor] {
        switch self {
        case .same: return tensors
        case .transposed(let axes): return try tensors.map { try transpose($0, axes) }
        case .reshaped(let from, let to): return try tensors.map { try reshape($0, from: from, to: to) }
        case .gates(let order, let axis): return try tensors.map { try reorder($0, order, axis: axis) }
        case .concatenated(let sections, let axis): return [try concatenate(tensors, sections, axis: axis)]
        case .split(let sections, let axis):
            guard tensors.count == 1 else { throw mismatch("1 tensor to split", "\(tensors.count)") }
            return try cut(tensors[0], sections, axis: axis)
        case .each(let layouts):
            guard tensors.count == layouts.count else { throw mismatch("\(layouts.count) tensors", "\(tensors.count)") }
            return try zip(layouts, tensors).map { try $0.apply($1) }
        case .sequence(let layouts): return try layouts.reduce(tensors) { try $1.apply($0) }
        }
    }
}

private func mismatch(_ expected: String, _ found: String) -> FormatError {
    FormatError("layout", "shape-mismatch", expected: expected, found: found)
}

private func inversePermutation(_ order: [Int]) -> [Int] { order.indices.map { order.firstIndex(of: $0) ?? $0 } }

private func isPermutation(_ order: [Int]) -> Bool { order.sorted() == Array(order.indices) }

/// Row-major strides, in elements.
private func strides(_ shape: [Int]) -> [Int] {
    var product = 1
    return Array(
        shape.reversed().map { size in
            defer { product *= size }
            return product
        }.reversed())
}

private func resolve(_ axis: Int, of tensor: Tensor) throws -> Int {
    let index = axis < 0 ? axis + tensor.shape.count : axis
    guard tensor.shape.indices.contains(index) else { throw mismatch("a shape with the axis \(axis)", "\(tensor.shape)") }
    return index
}

private func transpose(_ tensor: Tensor, _ axes: [Int]) throws -> Tensor {
    guard isPermutation(axes), axes.count == tensor.shape.count else {
        throw mismatch("a shape of \(axes.count) dimensions", "\(tensor.shape)")
    }
    let source = strides(tensor.shape)
    let shape = axes.map { tensor.shape[$0] }
    let box = ElementBox(
        source: 0, shape: shape, sourceOffset: 0, sourceStrides: axes.map { source[$0] }, targetOffset: 0, targetStrides: strides(shape))
    return Tensor(rearranging: [tensor], shape: shape, boxes: [box])
}

private func reshape(_ tensor: Tensor, from: [Int], to: [Int]) throws -> Tensor {
    let fits = from.count == tensor.shape.count && zip(from, tensor.shape).allSatisfy { $0 == -1 || $0 == $1 }
    let known = to.filter { $0 != -1 }.reduce(1, *)
    let open = to.count { $0 == -1 }
    guard fits, from.count(where: { $0 == -1 }) <= 1, open <= 1, to.allSatisfy({ $0 >= -1 }),
        open == 0 ? known == tensor.count : known > 0 && tensor.count % known == 0
    else { throw mismatch("a shape of the form \(from), to become \(to)", "\(tensor.shape)") }
    return tensor.reshaped(to.map { $0 == -1 ? tensor.count / known : $0 })
}

/// The sizes of the sections of a dimension of `total`.
private func resolve(_ sections: Layout.Sections, total: Int) throws -> [Int] {
    switch sections {
    case .equal(let count):
        guard count > 0, total % count == 0 else { throw mismatch("a dimension of \(count) equal parts", "\(total)") }
        return [Int](repeating: total / count, count: count)
    case .sizes(let sizes):
        let known = sizes.filter { $0 != -1 }.reduce(0, +)
        let open = sizes.count { $0 == -1 }
        guard open <= 1, sizes.allSatisfy({ $0 >= -1 }), open == 0 ? known == total : known <= total else {
            throw mismatch("a dimension of the parts \(sizes)", "\(total)")
        }
        return sizes.map { $0 == -1 ? total - known : $0 }
    }
}

/// Boxes between a whole tensor and parts of it along one axis.
private func boxes(_ shape: [Int], axis: Int, sizes: [Int]) -> [(shape: [Int], offset: Int, wholeStrides: [Int])] {
    let whole = strides(shape)
    var start = 0
    return sizes.map { size in
        var part = shape
        part[axis] = size
        defer { start += size }
        return (part, start * whole[axis], whole)
    }
}

private func reorder(_ tensor: Tensor, _ order: [Int], axis: Int) throws -> Tensor {
    let axis = try resolve(axis, of: tensor)
    guard isPermutation(order) else { throw mismatch("a permutation of blocks", "\(order)") }
    let parts = boxes(tensor.shape, axis: axis, sizes: try resolve(.equal(order.count), total: tensor.shape[axis]))
    let moved = zip(parts, order).map { place, source in
        ElementBox(
            source: 0, shape: place.shape, sourceOffset: parts[source].offset, sourceStrides: place.wholeStrides,
            targetOffset: place.offset, targetStrides: place.wholeStrides)
    }
    return Tensor(rearranging: [tensor], shape: tensor.shape, boxes: moved)
}

private func concatenate(_ tensors: [Tensor], _ sections: Layout.Sections, axis: Int) throws -> Tensor {
    guard let first = tensors.first else { throw mismatch("tensors to join", "none") }
    let axis = try resolve(axis, of: first)
    for tensor in tensors {
        var shape = tensor.shape
        guard shape.indices.contains(axis) else { throw mismatch("a shape with the axis \(axis)", "\(shape)") }
        shape[axis] = first.shape[axis]
        guard shape == first.shape, tensor.dtype == first.dtype else {
            throw mismatch("\(first.dtype)\(first.shape) but for axis \(axis)", "\(tensor.dtype)\(tensor.shape)")
        }
    }
    let sizes = tensors.map { $0.shape[axis] }
    var shape = first.shape
    shape[axis] = sizes.reduce(0, +)
    guard try resolve(sections, total: shape[axis]) == sizes else { throw mismatch("parts of the sizes \(sections)", "\(sizes)") }
    let moved = boxes(shape, axis: axis, sizes: sizes).enumerated().map { index, place in
        ElementBox(
            source: index, shape: place.shape, sourceOffset: 0, sourceStrides: strides(place.shape), targetOffset: place.offset,
            targetStrides: place.wholeStrides)
    }
    return Tensor(rearranging: tensors, shape: shape, boxes: moved)
}

private func cut(_ tensor: Tensor, _ sections: Layout.Sections, axis: Int) throws -> [Tensor] {
    let axis = try resolve(axis, of: tensor)
    let isContiguous = tensor.shape[..<axis].allSatisfy { $0 == 1 }
    return boxes(tensor.shape, axis: axis, sizes: try resolve(sections, total: tensor.shape[axis])).map { part in
        if isContiguous { return tensor.elements(from: part.offset, shape: part.shape) }
        let box = ElementBox(
            source: 0, shape: part.shape, sourceOffset: part.offset, sourceStrides: part.wholeStrides, targetOffset: 0,
            targetStrides: strides(part.shape))
        return Tensor(rearranging: [tensor], shape: part.shape, boxes: [box])
    }
}
