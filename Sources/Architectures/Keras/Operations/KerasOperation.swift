import ByteIO
import JSON
import ModelIR

/// A node of a functional model that is a bare operation. Its call's arguments are part of what it computes.
struct KerasOperation: KerasLayer {
    let config: KerasLayerConfig

    init(_ config: KerasLayerConfig) throws {
        self.config = config
        guard Self.row(of: config.spec) != nil else {
            throw UnsupportedError("node '\(config.name)' is the operation \(Self.name(of: config.spec))")
        }
        // What the calls ask for must be known before anything runs.
        for call in config.spec.calls {
            _ = try KerasOperationCall(
                config.spec, call.arguments, Dictionary(call.keywords.map { ($0.name, $0.value) }, uniquingKeysWith: { first, _ in first }))
        }
    }

    /// Class names of Keras 3's operations.
    static let keras3Names: Set<String> = Set(KerasOperationTable.rows.flatMap(\.keras3))

    /// The operation's name as its framework says it: `math.multiply` in TensorFlow, `Multiply` in Keras 3.
    static func name(of spec: KerasLayerSpec) -> String {
        spec.config["function"]?.string ?? spec.config["node_def"]?["op"]?.string ?? spec.className
    }

    static func row(of spec: KerasLayerSpec) -> KerasOperationTable.Row? {
        if let name = spec.config["function"]?.string ?? spec.config["node_def"]?["op"]?.string {
            return KerasOperationTable.row(keras2: name)
        }
        return ["TFOpLambda", "SlicingOpLambda", "TensorFlowOpLayer"].contains(spec.className)
            ? nil : KerasOperationTable.row(keras3: spec.className)
    }

    func call(_ call: KerasLayerCall, in builder: inout KerasBuilder) throws -> [KerasTensor] {
        let operation = try KerasOperationCall(config.spec, call.operands, call.keywords)
        let lift = KerasOperationLift(title: "node '\(config.name)' (\(Self.name(of: config.spec)))", generation: config.generation)
        return try lift.outputs(operation.kind, operation.inputs, in: &builder).map { KerasTensor($0) }
    }
}
