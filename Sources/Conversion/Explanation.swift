import Architectures
import ByteIO
import FormatKit
import JSON
import ModelIR

/// What keeps an ecosystem from opening a model file, and what a conversion would change: the conversion itself, planned and not written.
public struct Explanation: Sendable {
    /// Who is to open the model.
    public enum Target: String, CaseIterable, Sendable {
        case keras3
        case tfKeras = "tf-keras"
        case transformers5
        case transformers4TensorFlow = "transformers4-tf"
        case pytorch

        /// For people.
        public var title: String {
            switch self {
            case .keras3: "Keras 3"
            case .tfKeras: "tf_keras (Keras 2)"
            case .transformers5: "transformers 5"
            case .transformers4TensorFlow: "transformers 4 with TensorFlow"
            case .pytorch: "PyTorch"
            }
        }
    }

    /// One thing that stops the target.
    public struct Symptom: Hashable, Sendable {
        /// What the target prints, as users search for it; empty where it says nothing and computes something else.
        public var message: String
        /// Why, in one line.
        public var reason: String
        /// Layers or tensors concerned.
        public var places: [String]

        public init(_ message: String, _ reason: String, places: [String] = []) {
            self.message = message
            self.reason = reason
            self.places = places
        }
    }

    public var path: String
    public var target: Target
    /// What stops the target from opening the file as it is, or makes it compute something else in silence.
    public var symptoms: [Symptom] = []
    /// Declared changes of values that a conversion makes.
    public var rewrites: [String] = []
    /// Elements that change, of all.
    public var rewrittenCount = 0
    public var parameterCount = 0
    /// Greatest difference of an output that the rewrites cause on a seeded probe; nil without rewrites, or where nothing could be run.
    public var drift: Double?
    /// Other things that a conversion does: what is left out, stated, assumed.
    public var notes: [String] = []
    /// What the target can't express; a conversion is refused.
    public var obstacles: [String] = []
    /// What to run; nil where a conversion is refused.
    public var command: String?

    public var isConvertible: Bool { obstacles.isEmpty }

    public init(_ file: ModelFile, for target: Target, measuringDrift: Bool = true) throws {
        path = file.path
        self.target = target
        guard let model = file.model else {
            obstacles = [file.missingConfigurationHint ?? "no architecture recognises this \(file.format.name) file"]
            symptoms = ExplanationSymptoms(file, target: target).all
            return
        }
        symptoms = ExplanationSymptoms(file, target: target).all
        parameterCount = model.parameters.reduce(0) { $0 + $1.tensor.count }
        notes = model.report.assumptions
        do {
            let lowered = try model.lower(to: target.lowering(of: model))
            notes += lowered.notes
            rewrites = lowered.rewrites.map(\.description)
            let changed = Set(lowered.rewrites.map(\.parameter))
            rewrittenCount = model.parameters.filter { changed.contains($0.name) }.reduce(0) { $0 + $1.tensor.count }
            command = "ingot convert \(shellQuoted(path)) \(shellQuoted(target.outputName(for: path)))\(target.options(of: model))"
            if !rewrites.isEmpty && measuringDrift, let written = try ModelFile.lift(lowered.checkpoint) {
                drift = try Verification.between(model, written).outputDrift
            }
        } catch let error as UnsupportedError {
            obstacles = error.items.isEmpty ? [error.message] : error.items
        }
    }
}

extension Explanation.Target {
    func lowering(of model: any Model) -> LoweringTarget {
        switch self {
        case .keras3: .keras3
        case .tfKeras: .keras2
        case .transformers5, .pytorch: .pytorch
        case .transformers4TensorFlow: .tensorflow
        }
    }

    /// A name for what would be written.
    func outputName(for path: String) -> String {
        let name = splitPath(path).name
        let stem =
            [".weights.h5", ".weights.json", ".keras", ".h5", ".hdf5", ".safetensors", ".bin", ".ingot"].first { name.hasSuffix($0) }
            .map { String(name.dropLast($0.count)) } ?? name
        switch self {
        case .keras3: return "\(stem).keras"
        case .tfKeras: return stem + (name.hasSuffix(".h5") ? "_keras2.h5" : ".h5")
        case .transformers5: return "\(stem)_transformers5/"
        case .transformers4TensorFlow: return "\(stem)_tensorflow/"
        case .pytorch: return "\(stem).safetensors"
        }
    }

    func options(of model: any Model) -> String {
        switch self {
        case .keras3, .tfKeras, .transformers5: ""
        case .transformers4TensorFlow: " --to tf-hdf5"
        case .pytorch: " --naming pytorch"
        }
    }
}

/// A path as a shell takes it.
private func shellQuoted(_ path: String) -> String {
    let plain = path.allSatisfy { ($0.isASCII && ($0.isLetter || $0.isNumber)) || "/._-+=:@%".contains($0) }
    return plain && !path.isEmpty ? path : "'" + path.replacing("'", with: "'\\''") + "'"
}
