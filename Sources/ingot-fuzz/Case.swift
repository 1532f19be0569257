import ByteIO
import Conversion
import Executor
import FormatKit
import ModelIR

/// One damaged file, taken through everything that reads it.
struct Case {
    var path: String
    /// The file before the damage, opened.
    var original: Checkpoint
    /// Whether the format has checksums over everything that a tensor's bytes depend on.
    var hasChecksums: Bool

    enum Outcome {
        /// Read to the end.
        case taken
        /// Refused, with the error's code.
        case refused(String)
        /// Read to the end, with other contents than before.
        case wrong(String)
    }

    func outcome() -> Outcome {
        do {
            let file = try ModelFile.open(path)
            let report = try CheckReport(file)
            _ = try Inspection(file, withStatistics: true)
            for entry in file.checkpoint.tensors { try entry.tensor.forEachPiece { _ in } }
            if hasChecksums, let difference = try difference(file.checkpoint) { return .wrong(difference) }
            guard report.passes else { return .refused("check") }
            if let model = file.model {
                let graph = try model.graph()
                _ = try Planner.plan(
                    graph, inputShapes: try Probe(for: graph).inputs.mapValues(\.shape), options: ExecutionOptions(maxMemory: 256 << 20))
            }
            return .taken
        } catch let error as FormatError {
            return .refused(error.code.rawValue)
        } catch let error as UnsupportedError {
            return .refused("unsupported: \(error.message.prefix(40))")
        } catch {
            // Of the graph, the input or the system: typed too, and one line.
            return .refused("\(type(of: error))")
        }
    }

    /// A tensor of the same name with other contents.
    private func difference(_ found: Checkpoint) throws -> String? {
        let before = Dictionary(original.tensors.map { ($0.name, $0.tensor) }, uniquingKeysWith: { first, _ in first })
        for entry in found.tensors {
            guard let tensor = before[entry.name] else { return "\(entry.name), which was not there" }
            if try entry.tensor.dtype != tensor.dtype || entry.tensor.shape != tensor.shape || entry.tensor.bytes() != tensor.bytes() {
                return entry.name
            }
        }
        return nil
    }
}
