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

/// Compares `a` with `b`, the side that is right.
/// - Throws: what reading the tensors throws.
public func compare(_ a: Tensor, _ b: Tensor, tolerance: Tolerance = Tolerance()) throws -> TensorComparison {
    let (x, y) = (try a.doubles(), try b.doubles())
    var result = TensorComparison(
        shapeA: a.shape, shapeB: b.shape, count: 0, failingCount: 0, maximumDifference: 0, maximumIndex: nil, firstFailingIndex: nil,
        meanDifference: 0, maximumRatio: 0, statisticsA: statistics(x), statisticsB: statistics(y))
    guard a.shape == b.shape else { return result }
    let channels = a.shape.count >= 2 ? max(1, a.shape[a.shape.count - 1]) : 1
    let bounds = channelRMS(y, channels).map { tolerance.absolute + tolerance.relative * $0 }
    result.count = x.count
    var (sum, finiteCount, largest, firstFailing) = (0.0, 0, -1, -1)
    for i in x.indices {
        let difference = abs(x[i] - y[i])
        let bound = bounds[channels == 1 ? 0 : i % channels]
        // Equal infinities give a NaN difference, so equality is asked first; a NaN equals nothing.
        let passes = x[i] == y[i] || difference <= bound && x[i].isFinite && y[i].isFinite
        if !passes {
            result.failingCount += 1
            if firstFailing < 0 { firstFailing = i }
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
            largest = i
        }
    }
    result.meanDifference = finiteCount > 0 ? sum / Double(finiteCount) : 0
    if largest >= 0 { result.maximumIndex = multiIndex(largest, a.shape) }
    if firstFailing >= 0 { result.firstFailingIndex = multiIndex(firstFailing, a.shape) }
    return result
}

/// RMS of the finite elements of each channel.
private func channelRMS(_ values: [Double], _ channels: Int) -> [Double] {
    var squares = [Double](repeating: 0, count: channels)
    var counts = [Int](repeating: 0, count: channels)
    for (i, value) in values.enumerated() where value.isFinite {
        squares[i % channels] += value * value
        counts[i % channels] += 1
    }
    return zip(squares, counts).map { $1 > 0 ? ($0 / Double($1)).squareRoot() : 0 }
}

private func statistics(_ values: [Double]) -> TensorStatistics {
    var magnitudes = values.compactMap { $0.isFinite ? abs($0) : nil }
    guard !magnitudes.isEmpty else {
        return TensorStatistics(rms: .nan, percentiles: [.nan, .nan, .nan], nonFiniteCount: values.count)
    }
    let rms = channelRMS(magnitudes, 1)[0]
    let ranks = [0.5, 0.9, 0.99].map { max(0, min(magnitudes.count - 1, Int((Double(magnitudes.count) * $0).rounded(.up)) - 1)) }
    return TensorStatistics(
        rms: rms, percentiles: ranks.map { select($0, of: &magnitudes) }, nonFiniteCount: values.count - magnitudes.count)
}

/// The element that sorting would put at `rank` (Hoare's selection: linear in the number of elements; logits have millions).
private func select(_ rank: Int, of values: inout [Double]) -> Double {
    var (low, high) = (0, values.count - 1)
    while low < high {
        let pivot = values[low + (high - low) / 2]
        var (i, j) = (low, high)
        while i <= j {
            while values[i] < pivot { i += 1 }
            while values[j] > pivot { j -= 1 }
            if i <= j {
                values.swapAt(i, j)
                (i, j) = (i + 1, j - 1)
            }
        }
        if rank <= j { high = j } else if rank >= i { low = i } else { break }
    }
    return values[rank]
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
