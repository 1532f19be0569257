/// Takes boxes straight to where rearranged sources get their elements from, so that there and back again moves nothing.
///
/// A source stays as it is where one of the boxes over it isn't inside a single box of its own, dimension by dimension.
func composed(_ sources: [Tensor], _ boxes: [ElementBox]) -> (sources: [Tensor], boxes: [ElementBox]) {
    var (newSources, newBoxes): ([Tensor], [ElementBox]) = ([], [])
    func place(of source: Tensor) -> Int {
        if let identity = source.storage.identity, let known = newSources.firstIndex(where: { $0.storage.identity == identity }) {
            return known
        }
        newSources.append(source)
        return newSources.count - 1
    }
    for (index, source) in sources.enumerated() {
        let over = boxes.filter { $0.source == index }
        if let inner = source.storage as? RearrangedStorage, let through = allComposed(over, through: inner.boxes) {
            newBoxes += through.map { $0.movingSource(to: place(of: inner.sources[$0.source])) }
        } else if !over.isEmpty {
            let place = place(of: source)
            newBoxes += over.map { $0.movingSource(to: place) }
        }
    }
    return newSources.isEmpty ? (sources, boxes) : (newSources, joined(newBoxes))
}

/// Boxes that continue one another, in source and target alike, as one.
private func joined(_ boxes: [ElementBox]) -> [ElementBox] {
    var result: [ElementBox] = []
    for box in boxes.sorted(by: { $0.targetOffset < $1.targetOffset }) {
        if let last = result.last, let whole = last.joined(with: box) {
            result[result.count - 1] = whole
        } else {
            result.append(box)
        }
    }
    return result
}

private func allComposed(_ outer: [ElementBox], through inner: [ElementBox]) -> [ElementBox]? {
    var result: [ElementBox] = []
    for box in outer {
        guard let found = inner.lazy.compactMap({ box.composed(through: $0) }).first else { return nil }
        result.append(found)
    }
    return result
}

/// The source and the first of its elements where boxes only copy one range of a source; nil where anything moves.
func unmovedElements(_ boxes: [ElementBox]) -> (source: Int, offset: Int)? {
    guard let first = boxes.first else { return nil }
    let distance = first.sourceOffset - first.targetOffset
    let isUnmoved = boxes.allSatisfy { box in
        box.source == first.source && box.sourceOffset - box.targetOffset == distance
            && box.shape.indices.allSatisfy { box.shape[$0] == 1 || box.sourceStrides[$0] == box.targetStrides[$0] }
    }
    return isUnmoved && !boxes.contains { $0.shape.contains(0) } ? (first.source, distance) : nil
}

extension ElementBox {
    fileprivate func movingSource(to source: Int) -> ElementBox {
        var box = self
        box.source = source
        return box
    }

    /// Both boxes as one; nil where the other doesn't go on along one dimension as this one would.
    fileprivate func joined(with next: ElementBox) -> ElementBox? {
        guard source == next.source, sourceStrides == next.sourceStrides, targetStrides == next.targetStrides else { return nil }
        let axis = shape.indices.first { axis in
            next.targetOffset == targetOffset + shape[axis] * targetStrides[axis]
                && next.sourceOffset == sourceOffset + shape[axis] * sourceStrides[axis]
                && shape.indices.allSatisfy { $0 == axis || shape[$0] == next.shape[$0] }
        }
        guard let axis else { return nil }
        var whole = self
        whole.shape[axis] += next.shape[axis]
        return whole
    }

    /// This box, which reads what `inner` has put down, reading where `inner` reads instead.
    /// - Returns: nil if it reads anything that `inner` didn't put down, or along more than one of its dimensions at once.
    fileprivate func composed(through inner: ElementBox) -> ElementBox? {
        guard !shape.contains(0), !inner.shape.contains(0) else { return nil }
        // Outermost first, as they lie in what `inner` fills.
        let dimensions = inner.shape.indices.filter { inner.shape[$0] > 1 }.sorted { inner.targetStrides[$0] > inner.targetStrides[$1] }
        for (outer, next) in zip(dimensions, dimensions.dropFirst())
        where inner.targetStrides[outer] < inner.targetStrides[next] * inner.shape[next] { return nil }

        var rest = sourceOffset - inner.targetOffset
        guard rest >= 0 else { return nil }
        var result = self
        result.source = inner.source
        result.sourceOffset = inner.sourceOffset
        // The last coordinate reached along each dimension.
        var last = [Int](repeating: 0, count: inner.shape.count)
        for dimension in dimensions {
            last[dimension] = rest / inner.targetStrides[dimension]
            rest %= inner.targetStrides[dimension]
            result.sourceOffset += last[dimension] * inner.sourceStrides[dimension]
        }
        guard rest == 0 else { return nil }
        for axis in shape.indices {
            guard let dimension = dimensions.first(where: { inner.targetStrides[$0] <= sourceStrides[axis] }),
                sourceStrides[axis] % inner.targetStrides[dimension] == 0
            else {
                guard shape[axis] == 1 else { return nil }
                // Where there is but one element the stride doesn't matter.
                result.sourceStrides[axis] = 0
                continue
            }
            let step = sourceStrides[axis] / inner.targetStrides[dimension]
            last[dimension] += step * (shape[axis] - 1)
            result.sourceStrides[axis] = step * inner.sourceStrides[dimension]
        }
        return dimensions.allSatisfy { last[$0] < inner.shape[$0] } ? result : nil
    }
}
