import Architectures
import ByteIO
import FormatKit
import ModelIR

/// What `ingot check` found: checksums, bounds and finite values, without running anything.
public struct CheckReport: Sendable {
    public var path: String
    public var tensorCount = 0
    public var byteCount = 0
    /// What was verified, one line each.
    public var passed: [String] = []
    /// Tensors with NaN or infinite values.
    public var nonFinite: [(name: String, count: Int)] = []
    public var problems: [String] = []

    public var passes: Bool { nonFinite.isEmpty && problems.isEmpty }

    /// Reads every byte of the file.
    /// - Throws: `FormatError` for the first thing that is damaged.
    public init(_ file: ModelFile, limits: Limits = Limits()) throws {
        path = file.path
        do {
            passed = try file.checkStorage(limits: limits)
            for entry in file.checkpoint.tensors {
                tensorCount += 1
                byteCount += entry.tensor.byteCount
                guard entry.tensor.dtype.isFloat else {
                    try entry.tensor.forEachPiece { _ in }
                    continue
                }
                var count = 0
                try forEachElement(of: entry.tensor) { if !$0.isFinite { count += 1 } }
                if count > 0 { nonFinite.append((entry.name, count)) }
            }
        } catch let error as FormatError {
            throw error.inFile(file.path)
        }
        passed.append("\(tensorCount) tensors read, \(byteCount) bytes")
        if let record = file.checkpoint.record {
            if try file.fingerprint() == record.fingerprint {
                passed.append("fingerprint matches")
            } else {
                problems.append("the fingerprint of the weights is not the recorded \(record.fingerprint)")
            }
        }
        if let model = file.model, !model.report.unused.isEmpty {
            problems.append("tensors that no layer asks for: \(model.report.unused.joined(separator: ", "))")
        }
    }
}
