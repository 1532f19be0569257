import ByteIO
import FormatKit
import ModelIR

/// Finds each variable's tensor in a checkpoint. Keras itself loads by position, so position decides; shapes are checked when the graph is built.
struct KerasWeightBinder {
    let checkpoint: Checkpoint
    let source: KerasSource
    private(set) var parameters: [Parameter] = []
    /// Names in the checkpoint that a variable has claimed.
    private(set) var bound: Set<String> = []
    /// What the file leaves open and was assumed, one line each.
    var assumptions: [String] {
        guard !bareIntegers.isEmpty else { return layerAssumptions }
        let names = bareIntegers.prefix(3).joined(separator: ", ") + (bareIntegers.count > 3 ? ", .." : "")
        return layerAssumptions + [
            "\(bareIntegers.count) weights kept as uint16 without an attribute dtype are taken for bf16: \(names)"
        ]
    }
    private var layerAssumptions: [String] = []
    private let tensors: [String: Tensor]
    private let groups: [String: [Attribute]]

    init(checkpoint: Checkpoint, source: KerasSource) {
        self.checkpoint = checkpoint
        self.source = source
        tensors = Dictionary(checkpoint.tensors.map { ($0.name, $0.tensor) }, uniquingKeysWith: { first, _ in first })
        groups = Dictionary(checkpoint.groups.map { ($0.path, $0.attributes) }, uniquingKeysWith: { first, _ in first })
    }

    private func tensor(_ path: String, for name: String) throws -> Tensor {
        guard let tensor = tensors[path] else {
            throw kerasError("missing-weight", expected: "the weight \(name) at \(path)", found: "nothing")
        }
        return tensor
    }

    /// Names of weights that the file keeps as integers of 16 bits without a word on what they are.
    private var bareIntegers: [String] = []

    /// A weight that must be floats: integers of 16 bits are taken for bf16, which HDF5 had no type for.
    private mutating func float(_ tensor: Tensor, _ variable: KerasVariableRow) -> Tensor {
        guard tensor.dtype == .u16, !variable.allowsIntegers else { return tensor }
        bareIntegers.append(variable.name)
        return Tensor(dtype: .bf16, shape: tensor.shape, storage: tensor.storage)
    }

    /// Carries a tensor under the name that the file gives it.
    private mutating func carry(_ name: String, from path: String) throws {
        parameters.append(Parameter(name: name, tensor: try tensor(path, for: name), source: path))
        bound.insert(path)
    }

    /// Binds consecutive variables of a layer to as many tensors, or to those of an older layout.
    private mutating func bind(_ variables: [KerasVariableRow], of instance: KerasInstance, to paths: [String]) throws {
        var arrays: [Tensor] = []
        for (path, variable) in zip(paths, variables + [KerasVariableRow?](repeating: nil, count: max(0, paths.count - variables.count))) {
            let array = try tensor(path, for: variable?.name ?? instance.spec.name)
            arrays.append(variable.map { float(array, $0) } ?? array)
        }
        var stored = try KerasStoredWeights(variables, arrays: arrays, of: instance, source: source)
        for (variable, tensor, range) in try stored.bound() {
            try check(tensor, variable)
            let sources = Array(paths[range])
            parameters.append(Parameter(name: variable.name, tensor: tensor, source: sources[0], moreSources: Array(sources.dropFirst())))
        }
        bound.formUnion(paths)
        layerAssumptions += stored.assumptions
    }

    private func check(_ tensor: Tensor, _ variable: KerasVariableRow) throws {
        guard tensor.dtype.isFloat || variable.allowsIntegers else {
            throw kerasError("weight-dtype", expected: "floats for the weight \(variable.name)", found: tensor.dtype.rawValue)
        }
        guard let shape = variable.shape, !fits(tensor.shape, shape), !KerasStoredWeights.isPairOfBiases(tensor.shape, variable) else {
            return
        }
        let wanted = shape.map { $0.map(String.init) ?? "?" }.joined(separator: ", ")
        throw kerasError(
            "weight-shape-mismatch", expected: "the shape [\(wanted)] that the configuration states for \(variable.name)",
            found: "\(tensor.shape)")
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
        let groupNames = groupNames(of: instances, stored: stored, order: layerNames)
        for (instance, group) in zip(instances, groupNames) {
            let names = stored[group] ?? []
            let paths = names.map { "\(root)\(group)/\($0)" }
            let variables = instance.variables
            guard instance.obstacles.isEmpty else {
                // Not ours to interpret: kept under the names that the file gives.
                for (name, path) in zip(names, paths) { try carry(instance.path + withoutSuffix(name), from: path) }
                continue
            }
            let wanted = "\(variables.count) weights for layer '\(instance.spec.name)' (\(instance.spec.className))"
            guard names.count >= variables.count else { throw kerasError("missing-weight", expected: wanted, found: "\(names.count)") }
            guard names.count == variables.count || source.version.generation == 1 else {
                throw kerasError("extra-weight", expected: wanted, found: "\(names.count)")
            }
            try bind(variables, of: instance, to: paths)
        }
        let known = Set(groupNames)
        for layer in layerNames where !known.contains(layer) && !(stored[layer] ?? []).isEmpty {
            throw kerasError("extra-weight", expected: "layers of the configuration", found: "weights of a layer '\(layer)'")
        }
    }

    /// The group of each layer: its name. Where names don't fit (a configuration from another run, nested Sequentials of Keras 1), the position
    /// decides, as it always does for Keras.
    private func groupNames(of instances: [KerasInstance], stored: [String: [String]], order: [String]) -> [String] {
        let names = instances.map(\.spec.name)
        guard instances.contains(where: { !$0.variables.isEmpty && stored[$0.spec.name]?.isEmpty ?? true }) else { return names }
        let filled = order.filter { stored[$0]?.isEmpty == false }
        let owners = instances.indices.filter { !instances[$0].variables.isEmpty || !instances[$0].obstacles.isEmpty }
        guard filled.count == owners.count else { return names }
        var result = names
        for (owner, group) in zip(owners, filled) { result[owner] = group }
        return result
    }

    private func withoutSuffix(_ name: String) -> String { name.hasSuffix(":0") ? String(name.dropLast(2)) : name }

    /// Tensors under canonical names, in canonical layouts whatever the version.
    mutating func bindCanonical(_ instances: [KerasInstance]) throws {
        for instance in instances {
            guard instance.obstacles.isEmpty else {
                for entry in checkpoint.tensors where entry.name.hasPrefix(instance.path) { try carry(entry.name, from: entry.name) }
                continue
            }
            for variable in instance.variables {
                let tensor = float(try tensor(variable.name, for: variable.name), variable)
                try check(tensor, variable)
                parameters.append(Parameter(name: variable.name, tensor: tensor, source: variable.name))
                bound.insert(variable.name)
            }
        }
    }

    /// `layers/<class>[_n]/../vars/<n>`.
    mutating func bindStore(_ instances: [KerasInstance], isSequential: Bool, root: String) throws {
        for (instance, store) in zip(instances, KerasInstance.storeNames(instances, isSequential: isSequential)) where !store.isEmpty {
            let base = "\(root)/\(store)/"
            guard instance.obstacles.isEmpty else {
                for entry in checkpoint.tensors where entry.name.hasPrefix(base) && !entry.name.contains("seed_generator/vars/") {
                    try carry(instance.path + entry.name.dropFirst(base.count), from: entry.name)
                }
                continue
            }
            let variables = instance.variables
            let paths = variables.map { variable in
                // Inside old archives every container says `_layer_checkpoint_dependencies`.
                let store = root == "layers" ? variable.store : variable.store.replacingPrefix("layers/", with: root + "/")
                return base + (store.isEmpty ? "" : store + "/") + "vars/\(variable.index)"
            }
            try bind(variables, of: instance, to: paths)
        }
    }
}

/// Whether a tensor has the sizes that a configuration states; nil entries are open.
func fits(_ shape: [Int], _ stated: [Int?]) -> Bool {
    shape.count == stated.count && zip(stated, shape).allSatisfy { $0 == nil || $0 == $1 }
}

extension String {
    fileprivate func replacingPrefix(_ prefix: String, with replacement: String) -> String {
        hasPrefix(prefix) ? replacement + dropFirst(prefix.count) : self
    }
}
