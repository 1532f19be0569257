import Conversion
import Executor

/// A verification for people.
struct VerificationText {
    let verification: Verification

    init(_ verification: Verification) { self.verification = verification }

    /// - Parameter isBrief: one line a part, instead of one a layer.
    func lines(isBrief: Bool) -> [String] {
        let v = verification
        var lines: [String] = []
        if let obstacle = v.proofObstacle { lines.append("proof: \(obstacle)") }
        if !v.isProofOnly {
            var parameters = "parameters: \(v.equalCount) equal"
            if v.rewrittenCount > 0 { parameters += ", \(v.rewrittenCount) rewritten as declared" }
            parameters += ", \(v.differences.count) different"
            lines.append(parameters)
            for rewrite in v.rewrites { lines.append("  rewritten: \(rewrite)") }
            for difference in v.differences.prefix(20) { lines.append("  \(difference.name): \(difference.message)") }
            if v.differences.count > 20 { lines.append("  and \(v.differences.count - 20) more") }
            lines.append("configuration: \(v.configurationDifference ?? "equal")")
        }
        if let obstacle = v.forwardObstacle {
            lines.append("forward pass: none: \(obstacle)")
        } else if !v.layers.isEmpty {
            let worst = v.layers.max { $0.comparison.maximumRatio < $1.comparison.maximumRatio }
            let count = v.layers.count { !$0.isOutput }
            lines.append(
                "forward pass: \(count) layers and \(v.layers.count - count) outputs compared; "
                    + "greatest difference of an output \(shortNumber(v.outputDrift))"
                    + (worst.map { $0.comparison.maximumRatio > 0 ? ", nearest to its bound: \($0.name)" : "" } ?? ""))
            if !isBrief {
                for layer in v.layers {
                    let mark = layer.comparison.passes ? "same" : "DIFFERS"
                    lines.append("  \(mark)  \(layer.isOutput ? "output " : "")\(layer.name): \(layer.comparison.description)")
                }
            }
            if let first = v.firstDivergence {
                lines.append("the first that diverges: \(first.isOutput ? "output" : "layer") '\(first.name)'")
            }
        }
        for sketch in v.sketches where !isBrief || !sketch.agrees {
            lines.append(
                "  \(sketch.agrees ? "same" : "DIFFERS")  \(sketch.isOutput ? "output " : "")\(sketch.name): greatest difference \(shortNumber(sketch.difference))"
            )
        }
        if v.isProofOnly && !v.sketches.isEmpty {
            let failed = v.sketches.filter { !$0.agrees }
            lines.append(
                "proof: \(v.sketches.count - failed.count) of \(v.sketches.count) sketches agree"
                    + (failed.first.map { "; the first that diverges: '\($0.name)'" } ?? ""))
        }
        for message in v.proofProblems { lines.append("proof: \(message)") }
        return lines
    }
}
