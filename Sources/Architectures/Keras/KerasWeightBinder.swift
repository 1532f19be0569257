import ByteIO
import FormatKit
import ModelIR

/// Finds each variable's tensor in a checkpoint. Keras itself loads by position, so position decides; shapes are checked when the graph is built.
struct KerasWeightBinder {
    let checkpoint: Checkpoint
    private(set) var parameters: [Parameter] = []
    /// Names in the checkpoint that a variable has claimed.
    private(set) var bound: Set<String> = []
    private let tensors: [String: Tensor]
    private let groups: [String: [Attribute]]

    /// Keras 1 kept other weights in other orders: they are carried under the names that the file gives, not interpreted.
    private let interprets: Bool

    init(checkpoint: Checkpoint, version: KerasVersion) {
        self.checkpoint = checkpoint
        interprets = version.generation > 1
        tensors = Dictionary(checkpoint.tensors.map { ($0.name, $0.tensor) }, uniquingKeysWith: { first, _ in first })
        groups = Dictionary(checkpoint.groups.map { ($0.path, $0.attributes) }, uniquingKeysWith: { first, _ in first })
    }

    private mutating func bind(_ name: String, to path: String, as variable: KerasVariableRow? = nil) throws {
        guard let tensor = tensors[path] else {
            throw kerasError("missing-weight", expected: "the weight \(name) at \(path)", found: "nothing")
        }
        if let variable {
            guard tensor.dtype.isFloat || variable.allowsIntegers else {
                throw kerasError("weight-dtype", expected: "floats for the weight \(name)", found: tensor.dtype.rawValue)
            }
            if let shape = variable.shape,
                shape.count != tensor.shape.count || zip(shape, tensor.shape).contains(where: { $0 != nil && $0 != $1 })
            {
                let wanted = shape.map { $0.map(String.init) ?? "?" }.joined(separator: ", ")
                throw kerasError(
                    "weight-shape-mismatch", expected: "the shape [\(wanted)] that the configuration states for \(name)",
                    found: "\(tensor.shape)")
            }
        }
        parameters.append(Parameter(name: name, tensor: tensor, source: path))
        bound.insert(path)
    }

    /// Groups by layer name, each with an ordered list `weight_names`.
    mutating func bindNamed(_ instances: [KerasInstance], base: String) throws {
        let root = base.isEmpty ? "" : base + "/"
        guard let layerNames = (groups[base] ?? []).strings("layer_names") else {
            throw kerasError("missing-weight", expected: "the attribute layer_names of /\(base)", found: "nothing")
        }
        var stored: [String: [String]] = [:]
        for layer in layerNames {
            guard let attributes = groups[root + layer], let names = attributes.strings("weight_names") else {
                throw kerasError("missing-weight", expected: "the group /\(root)\(layer) with weight_names", found: "none")
            }
            stored[layer] = names
        }
        for instance in instances {
            let names = stored[instance.spec.name] ?? []
            let variables = instance.variables
            guard interprets, instance.obstacles.isEmpty else {
                // Not ours to interpret: kept under the names that the file gives.
                for name in names { try bind(instance.path + withoutSuffix(name), to: "\(root)\(instance.spec.name)/\(name)") }
                continue
            }
            guard names.count >= variables.count else {
                throw kerasError(
                    "missing-weight", expected: "\(variables.count) weights for layer '\(instance.spec.name)' (\(instance.spec.className))",
                    found: "\(names.count)")
            }
            guard names.count == variables.count else {
                throw kerasError(
                    "extra-weight", expected: "\(variables.count) weights for layer '\(instance.spec.name)' (\(instance.spec.className))",
                    found: "\(names.count)")
            }
            for (variable, name) in zip(variables, names) {
                try bind(variable.name, to: "\(root)\(instance.spec.name)/\(name)", as: variable)
            }
        }
        let known = Set(instances.map(\.spec.name))
        for layer in layerNames where !known.contains(layer) && !(stored[layer] ?? []).isEmpty {
            throw kerasError("extra-weight", expected: "layers of the configuration", found: "weights of a layer '\(layer)'")
        }
    }

    private func withoutSuffix(_ name: String) -> String { name.hasSuffix(":0") ? String(name.dropLast(2)) : name }

    /// `layers/<class>[_n]/../vars/<n>`.
    mutating func bindStore(_ instances: [KerasInstance], isSequential: Bool, root: String) throws {
        for (instance, store) in zip(instances, KerasInstance.storeNames(instances, isSequential: isSequential)) where !store.isEmpty {
            let base = "\(root)/\(store)/"
            guard interprets, instance.obstacles.isEmpty else {
                for entry in checkpoint.tensors where entry.name.hasPrefix(base) && !entry.name.contains("seed_generator/vars/") {
                    try bind(instance.path + entry.name.dropFirst(base.count), to: entry.name)
                }
                continue
            }
            for variable in instance.variables {
                // Inside old archives every container says `_layer_checkpoint_dependencies`.
                let store = root == "layers" ? variable.store : variable.store.replacingPrefix("layers/", with: root + "/")
                try bind(variable.name, to: base + (store.isEmpty ? "" : store + "/") + "vars/\(variable.index)", as: variable)
            }
        }
    }
}

extension String {
    fileprivate func replacingPrefix(_ prefix: String, with replacement: String) -> String {
        hasPrefix(prefix) ? replacement + dropFirst(prefix.count) : self
    }
}
