import ModelIR

/// How far an element may be off: |a - b| <= absolute + relative x RMS of b's channel (all elements with the same index along the last axis).
///
/// The RMS of a channel, not the element itself, scales the bound: an element near zero carries the rounding of the sums that cancelled to it.
public struct Tolerance: Hashable, Sendable {
    public var absolute: Double
    public var relative: Double

    public init(absolute: Double = 1e-6, relative: Double = 1e-5) {
        self.absolute = absolute
        self.relative = relative
    }
}

/// Numbers about the elements of one side; NaN where there are no finite elements.
public struct TensorStatistics: Hashable, Sendable {
    /// Root of the mean square of the finite elements.
    public var rms: Double
    /// 50th, 90th and 99th percentile of the absolute values of the finite elements (nearest rank).
    public var percentiles: [Double]
    /// Elements that are NaN or infinite.
    public var nonFiniteCount: Int
}

/// What comparing two tensors found.
public struct TensorComparison: Hashable, Sendable {
    public var shapeA: [Int]
    public var shapeB: [Int]
    /// Elements compared; 0 if the shapes differ.
    public var count: Int
    /// Elements out of tolerance; a NaN on either side fails, infinities fail unless equal.
    public var failingCount: Int
    /// Of the elements that are finite on both sides.
    public var maximumDifference: Double
    /// Where it is; nil if there is none.
    public var maximumIndex: [Int]?
    /// First element that fails.
    public var firstFailingIndex: [Int]?
    /// Over the elements that are finite on both sides.
    public var meanDifference: Double
    /// Greatest |a - b| / (absolute + relative x RMS): 1 and less passes.
    public var maximumRatio: Double
    public var statisticsA: TensorStatistics
    public var statisticsB: TensorStatistics

    public var passes: Bool { shapeA == shapeB && failingCount == 0 }
}

extension TensorComparison: CustomStringConvertible {
    /// One line for a pass, two for a failure.
    public var description: String {
        guard shapeA == shapeB else { return "shapes differ: \(shapeA) and \(shapeB)" }
        let place = maximumIndex.map { " at \($0)" } ?? ""
        var text =
            "\(count - failingCount) of \(count) within tolerance, largest difference \(brief(maximumDifference))\(place), mean \(brief(meanDifference))"
        guard failingCount > 0 else { return text }
        func side(_ s: TensorStatistics) -> String {
            "rms \(brief(s.rms)), 50/90/99 % \(s.percentiles.map(brief).joined(separator: "/"))"
                + (s.nonFiniteCount > 0 ? ", \(s.nonFiniteCount) not finite" : "")
        }
        text += "\n  first at \(firstFailingIndex ?? []); a: \(side(statisticsA)); b: \(side(statisticsB))"
        return text
    }

    /// Four significant digits.
    private func brief(_ x: Double) -> String {
        guard x.isFinite, x != 0 else { return "\(x)" }
        var (scaled, exponent) = (abs(x), 0)
        while scaled >= 10 { (scaled, exponent) = (scaled / 10, exponent + 1) }
        while scaled < 1 { (scaled, exponent) = (scaled * 10, exponent - 1) }
        let digits = (scaled * 1000).rounded() / 1000
        let sign = x < 0 ? "-" : ""
        if exponent == 0 { return "\(sign)\(digits)" }
        return "\(sign)\(digits)e\(exponent)"
    }
}

/// Compares `a` with `b`, the side that is right. Walks both several times, in blocks, so that memory doesn't grow with them.
/// - Throws: what reading the tensors throws.
public func compare(_ a: Tensor, _ b: Tensor, tolerance: Tolerance = Tolerance()) throws -> TensorComparison {
    let channels = b.shape.count >= 2 ? max(1, b.shape[b.shape.count - 1]) : 1
    let (first, second) = (try Magnitudes(of: a, channels: 1), try Magnitudes(of: b, channels: channels))
    var result = TensorComparison(
        shapeA: a.shape, shapeB: b.shape, count: 0, failingCount: 0, maximumDifference: 0, maximumIndex: nil, firstFailingIndex: nil,
        meanDifference: 0, maximumRatio: 0, statisticsA: try first.statistics(of: a), statisticsB: try second.statistics(of: b))
    guard a.shape == b.shape else { return result }
    let bounds = second.channelRMS.map { tolerance.absolute + tolerance.relative * $0 }
    result.count = a.count
    var (position, sum, finiteCount, largest, firstFailing) = (0, 0.0, 0, -1, -1)
    try forEachPair(a, b) { x, y in
        for i in x.indices {
            let difference = abs(x[i] - y[i])
            let bound = bounds[channels == 1 ? 0 : (position + i) % channels]
            // Equal infinities give a NaN difference, so equality is asked first; a NaN equals nothing.
            let passes = x[i] == y[i] || difference <= bound && x[i].isFinite && y[i].isFinite
            if !passes {
                result.failingCount += 1
                if firstFailing < 0 { firstFailing = position + i }
            }
            guard x[i].isFinite && y[i].isFinite else {
                if !passes { result.maximumRatio = .infinity }
                continue
            }
            sum += difference
            finiteCount += 1
            if difference > 0 { result.maximumRatio = max(result.maximumRatio, difference / bound) }
            if largest < 0 || difference > result.maximumDifference {
                result.maximumDifference = difference
                largest = position + i
            }
        }
        position += x.count
    }
    result.meanDifference = finiteCount > 0 ? sum / Double(finiteCount) : 0
    if largest >= 0 { result.maximumIndex = multiIndex(largest, a.shape) }
    if firstFailing >= 0 { result.firstFailingIndex = multiIndex(firstFailing, a.shape) }
    return result
}

/// Visits the elements of two tensors of one shape side by side, in blocks.
private func forEachPair(
    _ a: Tensor, _ b: Tensor, _ body: (UnsafeBufferPointer<Double>, UnsafeBufferPointer<Double>) throws -> Void
) throws {
    let size = 1 << 14
    var position = 0
    try a.forEachBlock(ofSize: size) { x in
        try b.elements(from: position, shape: [x.count]).forEachBlock(ofSize: size) { try body(x, $0) }
        position += x.count
    }
}

/// Sums over the finite elements of a tensor.
private struct Magnitudes {
    /// Root of the mean square of each channel; 0 where nothing is finite.
    var channelRMS: [Double]
    private var rms: Double
    private var finiteCount: Int

    init(of tensor: Tensor, channels: Int) throws {
        var squares = [Double](repeating: 0, count: channels)
        var counts = [Int](repeating: 0, count: channels)
        var position = 0
        try tensor.forEachBlock { block in
            for (i, value) in block.enumerated() where value.isFinite {
                squares[(position + i) % channels] += value * value
                counts[(position + i) % channels] += 1
            }
            position += block.count
        }
        channelRMS = zip(squares, counts).map { $1 > 0 ? ($0 / Double($1)).squareRoot() : 0 }
        finiteCount = counts.reduce(0, +)
        rms = (squares.reduce(0, +) / Double(finiteCount)).squareRoot()
    }

    func statistics(of tensor: Tensor) throws -> TensorStatistics {
        guard finiteCount > 0 else {
            return TensorStatistics(rms: .nan, percentiles: [.nan, .nan, .nan], nonFiniteCount: tensor.count)
        }
        let ranks = [0.5, 0.9, 0.99].map { max(0, min(finiteCount - 1, Int((Double(finiteCount) * $0).rounded(.up)) - 1)) }
        return TensorStatistics(
            rms: rms, percentiles: try magnitudes(atRanks: ranks, of: tensor), nonFiniteCount: tensor.count - finiteCount)
    }
}

/// The finite absolute values that sorting would put at `ranks`, exactly.
///
/// Absolute values sort as their bit patterns do: each walk over the tensor finds 16 more bits of every answer, from how many elements begin
/// with the bits known so far and each continuation of them. Logits have millions of elements; this takes no copy of them.
private func magnitudes(atRanks ranks: [Int], of tensor: Tensor) throws -> [Double] {
    var prefixes = [UInt64](repeating: 0, count: ranks.count)
    var remaining = ranks
    for shift in stride(from: 48, through: 0, by: -16) {
        let distinct = Array(Set(prefixes))
        var counts = [[Int]](repeating: [Int](repeating: 0, count: 1 << 16), count: distinct.count)
        try tensor.forEachBlock { block in
            for value in block where value.isFinite {
                let bits = value.magnitude.bitPattern
                // Shifting by 64 gives 0: at first all begin alike.
                let start = bits >> UInt64(shift + 16)
                for k in distinct.indices where distinct[k] == start { counts[k][Int(bits >> UInt64(shift) & 0xFFFF)] += 1 }
            }
        }
        for (r, prefix) in prefixes.enumerated() {
            guard let k = distinct.firstIndex(of: prefix) else { continue }
            var digit = 0
            while digit < 0xFFFF && remaining[r] >= counts[k][digit] {
                remaining[r] -= counts[k][digit]
                digit += 1
            }
            prefixes[r] = prefix << 16 | UInt64(digit)
        }
    }
    return prefixes.map { Double(bitPattern: $0) }
}

private func multiIndex(_ position: Int, _ shape: [Int]) -> [Int] {
    var index = [Int](repeating: 0, count: shape.count)
    var rest = position
    for axis in shape.indices.reversed() {
        index[axis] = rest % shape[axis]
        rest /= shape[axis]
    }
    return index
}
