import Architectures
import ByteIO
import FormatKit

/// Which checkpoint a source becomes in an output: the table of pairs, source by output and naming.
struct LoweringChoice {
    let source: ModelFile
    let place: OutputPlace
    let naming: ConversionOptions.Naming

    func lowered() throws -> Lowered {
        guard let model = source.model else { return try withoutModel() }
        switch model.architecture {
        case KerasArchitecture.name: return try keras(model)
        case HuggingFaceArchitecture.name: return try transformers(model)
        default: return try stateDictionary(model)
        }
    }

    private var verbatim: Lowered { Lowered(checkpoint: source.checkpoint) }

    private func refusal() -> UnsupportedError {
        UnsupportedError("--naming \(naming.rawValue) can't be written to \(place.kind.rawValue)")
    }

    /// Tensors of no known architecture: their own names, or nothing.
    private func withoutModel() throws -> Lowered {
        switch place.kind {
        case .ingot, .hdf5, .safetensors:
            guard naming == .standard || naming == .preserve else { _ = try source.requireModel(); return verbatim }
            return verbatim
        case .keras, .kerasWeights, .kerasShards, .tensorFlow:
            _ = try source.requireModel()
            return verbatim
        }
    }

    private func keras(_ model: any Model) throws -> Lowered {
        let convention = model.naming
        guard !place.isDirectory, place.kind != .tensorFlow else {
            throw UnsupportedError("a Keras model has no counterpart among the models of transformers; write .h5, .keras or .safetensors")
        }
        switch (place.kind, naming) {
        case (.ingot, .standard), (.ingot, .preserve), (.hdf5, .preserve), (.safetensors, .preserve): return verbatim
        case (.hdf5, .standard), (.hdf5, .keras2):
            if convention == "keras2-h5" { return model.restated() }
            return try model.lower(to: .keras2)
        case (.keras, .standard), (.keras, .keras3): return convention == "keras3-archive" ? verbatim : try model.lower(to: .keras3)
        case (.keras, .preserve):
            guard convention.hasSuffix("-archive") else {
                throw UnsupportedError("a .keras file can't keep the names of a \(convention) source; leave --naming out")
            }
            return verbatim
        case (.kerasWeights, .standard), (.kerasWeights, .keras3), (.kerasShards, .standard), (.kerasShards, .keras3):
            return try model.lower(to: .keras3Weights)
        case (.ingot, .keras2): return convention == "keras2-h5" ? verbatim : try model.lower(to: .keras2)
        case (.ingot, .keras3): return convention == "keras3-archive" ? verbatim : try model.lower(to: .keras3)
        case (.safetensors, .standard): return try model.lower(to: .canonical)
        case (.safetensors, .pytorch), (.ingot, .pytorch), (.hdf5, .pytorch): return try model.lower(to: .pytorch)
        case (.hdf5, .keras3), (.keras, .keras2), (.kerasWeights, .preserve), (.kerasWeights, .keras2), (.safetensors, .keras2),
            (.safetensors, .keras3), (.keras, .pytorch), (.kerasWeights, .pytorch), (.kerasShards, .preserve), (.kerasShards, .keras2),
            (.kerasShards, .pytorch), (_, .tensorflow), (.tensorFlow, _):
            throw refusal()
        }
    }

    private func transformers(_ model: any Model) throws -> Lowered {
        let isTensorFlow = model.naming.hasSuffix("-tensorflow")
        let target: LoweringTarget?
        switch (place.kind, naming) {
        case (.ingot, .standard), (.ingot, .preserve), (.hdf5, .preserve), (.safetensors, .preserve): target = nil
        case (.tensorFlow, .preserve):
            guard isTensorFlow else { throw UnsupportedError("a tf_model.h5 can't keep PyTorch's names; leave --naming out") }
            target = nil
        case (.tensorFlow, .standard), (.tensorFlow, .tensorflow), (.hdf5, .tensorflow), (.ingot, .tensorflow): target = .tensorflow
        case (.hdf5, .standard), (.safetensors, .standard), (.hdf5, .pytorch), (.safetensors, .pytorch), (.ingot, .pytorch):
            target = .pytorch
        case (.keras, _), (.kerasWeights, _), (.kerasShards, _):
            throw UnsupportedError(
                "a model of transformers can't be written as a Keras model; write .safetensors, tf_model.h5, .h5 or .ingot")
        case (.tensorFlow, .pytorch), (.safetensors, .tensorflow), (_, .keras2), (_, .keras3): throw refusal()
        }
        guard let target else { return verbatim }
        do {
            return try model.lower(to: target)
        } catch let error as UnsupportedError {
            // What can't be run can still be carried under the names that it has.
            guard target == .pytorch, !isTensorFlow, (try? model.graph()) == nil else { throw error }
            var kept = verbatim
            kept.notes.append("tensors are carried under the file's own names: \(error.description)")
            return kept
        }
    }

    /// State dictionaries of PyTorch's recurrent layers.
    private func stateDictionary(_ model: any Model) throws -> Lowered {
        switch (place.kind, naming) {
        case (.ingot, .standard), (.ingot, .preserve), (.ingot, .pytorch), (.hdf5, .preserve), (.hdf5, .pytorch), (.safetensors, .standard),
            (.safetensors, .preserve), (.safetensors, .pytorch):
            return verbatim
        case (.hdf5, .standard), (.hdf5, .keras2), (.ingot, .keras2): return try model.lower(to: .keras2)
        case (.keras, .standard), (.keras, .keras3), (.ingot, .keras3): return try model.lower(to: .keras3)
        case (.kerasWeights, .standard), (.kerasWeights, .keras3), (.kerasShards, .standard), (.kerasShards, .keras3):
            return try model.lower(to: .keras3Weights)
        case (.tensorFlow, _):
            throw UnsupportedError(
                "recurrent layers have no counterpart among the models of transformers; write .h5, .keras or .safetensors")
        case (.keras, _), (.kerasWeights, _), (.kerasShards, _), (.safetensors, _), (.hdf5, _), (.ingot, _): throw refusal()
        }
    }
}
