import ByteIO
import FormatKit
import JSON
import ModelIR

extension TransformerModel {
    public func lower(to target: LoweringTarget) throws -> Lowered {
        switch target {
        case .pytorch, .canonical: return try loweredToPyTorch()
        case .tensorflow, .keras2, .keras3, .keras3Weights:
            throw UnsupportedError("a model of transformers can't be written so")
        }
    }

    private func loweredToPyTorch() throws -> Lowered {
        guard let family else { throw obstacle ?? UnsupportedError("the model can't be rewritten") }
        var checkpoint = Checkpoint(format: "lowered")
        for parameter in parameters { checkpoint.tensors.append(.init(name: parameter.name, tensor: parameter.tensor)) }
        checkpoint.ties = family.ties
        var json = config.json
        json["architectures"] = .array([.string(className)])
        checkpoint.documents.append(.init(name: "config.json", bytes: Array(JSONValue.object(json).serialized(.python).utf8)))
        return Lowered(checkpoint: checkpoint)
    }
}
