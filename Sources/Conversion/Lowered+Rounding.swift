import Architectures
import ByteIO
import FormatKit
import JSON
import ModelIR

extension Lowered {
    /// Rounds every parameter to a float dtype, to nearest even; the configuration says so.
    /// - Throws: `UnsupportedError` that lists the tensors with finite values which the dtype can't hold.
    mutating func round(to dtype: DType, parametersOf source: ModelFile) throws {
        var names: Set<String>?
        if let model = source.model, checkpoint.format != "lowered" {
            var parameters = Set(model.parameters.flatMap { [$0.source] + $0.moreSources })
            for tie in checkpoint.ties where !parameters.isDisjoint(with: tie.names) { parameters.formUnion(tie.names) }
            names = parameters
        }
        var overflows: [String] = []
        for (position, entry) in checkpoint.tensors.enumerated() {
            guard entry.tensor.dtype.isFloat, entry.tensor.dtype != dtype, names?.contains(entry.name) ?? true else { continue }
            let count = try overflowCount(entry.tensor, in: dtype)
            if count > 0 { overflows.append("\(entry.name) (\(count) of \(entry.tensor.count))") }
            checkpoint.tensors[position].tensor = entry.tensor.rounded(to: dtype)
        }
        guard overflows.isEmpty else {
            throw UnsupportedError("\(dtype.rawValue) can't hold values of these tensors, which would become infinite", items: overflows)
        }
        for (position, document) in checkpoint.documents.enumerated() where document.name == "config.json" {
            guard var object = (try? JSONValue.parse(document.bytes))?.object, object["model_type"] != nil else { continue }
            let name: JSONValue = .string(dtype == .f16 ? "float16" : dtype == .bf16 ? "bfloat16" : "float32")
            let keys = ["dtype", "torch_dtype"].filter { object[$0] != nil }
            for key in keys.isEmpty ? ["torch_dtype"] : keys { object[key] = name }
            checkpoint.documents[position].bytes = Array(JSONValue.object(object).serialized(.pretty).utf8)
        }
    }
}

/// Finite elements that become infinite.
private func overflowCount(_ tensor: Tensor, in dtype: DType) throws -> Int {
    // The midpoint between the greatest value and what would come next: it rounds away.
    let greatest: Double
    switch dtype {
    case .f16: greatest = 65_520
    case .bf16: greatest = 0x1.FFp127
    default: greatest = 0x1.FFFFFFp127
    }
    // What is no wider holds no greater value.
    if tensor.dtype == .f16 || (tensor.dtype == .bf16 && dtype != .f16) || (tensor.dtype == .f32 && dtype == .f32) { return 0 }
    var count = 0
    try forEachElement(of: tensor) { if $0.isFinite && abs($0) >= greatest { count += 1 } }
    return count
}
