import ByteIO

/// A layer of the tree with its class, or the reason why it can't be run.
struct KerasInstance: Sendable {
    let spec: KerasLayerSpec
    /// nil for a class or an option that isn't supported, and for nested models.
    let layer: (any KerasLayer)?
    /// Why `layer` is nil although it isn't a nested model.
    let obstacle: String?
    /// Canonical path of the layer, with a trailing slash.
    let path: String
    /// The layers of a nested model.
    let children: [KerasInstance]

    /// The layers of a container, made.
    static func make(_ container: KerasContainer, version: KerasVersion, path: String = "") throws -> [KerasInstance] {
        var instances: [KerasInstance] = []
        for spec in container.layers {
            let layerPath = path + spec.name + "/"
            if let nested = spec.container {
                let children = try make(nested, version: version, path: layerPath)
                instances.append(KerasInstance(spec: spec, layer: nil, obstacle: nil, path: layerPath, children: children))
                continue
            }
            var layer: (any KerasLayer)?
            var obstacle: String?
            if spec.className != "InputLayer" {
                do {
                    layer = try KerasLayerTable.make(KerasLayerConfig(spec: spec, version: version))
                    if layer == nil {
                        obstacle =
                            spec.isOperation
                            ? "node '\(spec.name)' is the operation \(KerasOperation.name(of: spec))"
                            : "layer '\(spec.name)' is of the class \(spec.isCustom ? "\(spec.className) of the user's own" : spec.className)"
                    }
                } catch let error as UnsupportedError {
                    obstacle = error.description
                }
            }
            instances.append(KerasInstance(spec: spec, layer: layer, obstacle: obstacle, path: layerPath, children: []))
        }
        return instances
    }

    /// All variables with canonical names and `.weights.h5` groups relative to the layer, nested models included, in Keras' `weights` order:
    /// trainable ones first, unless the layer is frozen.
    var variables: [KerasVariableRow] {
        let rows: [KerasVariableRow]
        if spec.container != nil {
            rows = Self.variables(children, isSequential: spec.container?.isSequential ?? false)
        } else {
            // Variables of one group are numbered in order.
            var counts: [String: Int] = [:]
            rows = (layer?.variables ?? []).map { variable in
                let index = counts[variable.store, default: 0]
                counts[variable.store] = index + 1
                return KerasVariableRow(
                    name: path + variable.role, isTrainable: variable.isTrainable, store: variable.store, index: index,
                    keras2: layer?.namesVariablesAlone == true ? variable.keras2 : "\(spec.name)/\(variable.keras2)",
                    shape: variable.shape, allowsIntegers: variable.allowsIntegers)
            }
        }
        guard spec.config["trainable"]?.bool ?? true else {
            return rows.map { row in
                var row = row
                row.isTrainable = false
                return row
            }
        }
        return rows.filter(\.isTrainable) + rows.filter { !$0.isTrainable }
    }

    /// Those of the layers of a nested model, `.weights.h5` groups relative to it. Its own name does not appear in Keras 2 files.
    static func variables(_ instances: [KerasInstance], isSequential: Bool) -> [KerasVariableRow] {
        zip(instances, storeNames(instances, isSequential: isSequential)).flatMap { child, store in
            child.variables.map { row in
                var row = row
                row.store = "layers/\(store)" + (row.store.isEmpty ? "" : "/\(row.store)")
                return row
            }
        }
    }

    /// Layers in the way of running this one.
    var obstacles: [String] { obstacle.map { [$0] } ?? children.flatMap(\.obstacles) }

    /// This layer and the layers of nested models, outermost first.
    var flattened: [KerasInstance] { [self] + children.flatMap(\.flattened) }

    /// Names of layers under `layers/` in `.weights.h5`: the class in snake case, counted per class; a Sequential leaves out its input layer,
    /// operation nodes are no layers. Empty for those.
    static func storeNames(_ instances: [KerasInstance], isSequential: Bool) -> [String] {
        var counts: [String: Int] = [:]
        return instances.map { instance in
            guard !instance.spec.isOperation, !(isSequential && instance.spec.className == "InputLayer") else { return "" }
            let name = snakeCase(instance.spec.cuDNNClass ?? instance.spec.className)
            let count = counts[name, default: 0]
            counts[name] = count + 1
            return count == 0 ? name : "\(name)_\(count)"
        }
    }
}

/// A variable of a model under its names.
struct KerasVariableRow: Hashable, Sendable {
    /// Canonical: `lstm/kernel`.
    var name: String
    var isTrainable: Bool
    /// Group and number in `.weights.h5`, relative to the layer.
    var store: String
    var index: Int
    /// Name in a Keras 2 .h5 without `:0`: `lstm/lstm_cell/kernel`.
    var keras2: String
    /// Sizes that the configuration states.
    var shape: [Int?]?
    /// A counter, which may be stored as an integer.
    var allowsIntegers = false
}

extension KerasLayerSpec {
    /// A node of a functional model that is a bare operation: `x + y` makes one.
    var isOperation: Bool {
        if ["TFOpLambda", "SlicingOpLambda", "TensorFlowOpLayer"].contains(className) { return true }
        if let module {
            return module.hasPrefix("keras.src.ops") || module.hasPrefix("keras.ops") || module.hasPrefix("keras.src.activations")
        }
        // The .h5 of Keras 3 names no modules; its operations state nothing that all layers state.
        return calls.contains(where: \.isKeras3) && config["trainable"] == nil && KerasOperation.keras3Names.contains(className)
    }
}

/// `MaxPooling1D` to `max_pooling1d`, `SimpleRNN` to `simple_rnn`: Keras' `to_snake_case`.
func snakeCase(_ name: String) -> String {
    let scalars = Array(name.unicodeScalars.filter { $0.properties.isAlphabetic || $0.properties.numericType != nil || $0 == "_" })
    func isUpper(_ i: Int) -> Bool { scalars.indices.contains(i) && (65...90).contains(scalars[i].value) }
    func isLower(_ i: Int) -> Bool { scalars.indices.contains(i) && (97...122).contains(scalars[i].value) }
    var result = ""
    for i in scalars.indices {
        // A word begins at a capital that lower case follows, or precedes.
        let startsWord = isUpper(i) && i > 0 && (isLower(i + 1) || isLower(i - 1))
        if startsWord && scalars[i - 1] != "_" { result += "_" }
        result.unicodeScalars.append(scalars[i])
    }
    return result.lowercased()
}

extension KerasInstance {
    /// Whether the layer makes a mask of its input.
    var makesMask: Bool { spec.className == "Masking" || (layer as? EmbeddingLayer)?.masksZero == true }
}
