import ByteIO
import FormatKit
import JSON
import ModelIR

/// Lays a model's tensors out as a Keras generation stores them.
struct KerasWeightWriter {
    /// By canonical name.
    let tensors: [String: Tensor]

    private func tensor(_ name: String) throws -> Tensor {
        guard let tensor = tensors[name] else { throw kerasError("missing-weight", expected: "the weight \(name)") }
        return tensor
    }

    /// Keras 2 whole-model HDF5: `model_weights/<layer>/<weight name>`, ordered lists of names, the configuration in a root attribute.
    func named(_ instances: [KerasInstance], isSequential: Bool, document: JSONValue) throws -> Checkpoint {
        let version = KerasModel.keras2Version
        var checkpoint = Checkpoint(format: "lowered")
        checkpoint.attributes = [
            Attribute("backend", .text("tensorflow")), Attribute("keras_version", .text(version)),
            Attribute("model_config", .asciiText(document.serialized(.python))),
        ]
        let listed = instances.filter { !(isSequential && $0.spec.className == "InputLayer") }
        checkpoint.groups.append(
            Checkpoint.Group(
                path: "model_weights",
                attributes: [Attribute("backend", .asciiText("tensorflow")), Attribute("keras_version", .asciiText(version))]
                    + splitAttribute("layer_names", listed.map(\.spec.name))))
        for instance in listed {
            let path = "model_weights/\(instance.spec.name)"
            let variables = instance.variables
            var used = Set<String>()
            let names = variables.map { variable in
                // Two layers of a nested model may own variables of one name.
                var name = variable.keras2 + ":0"
                var n = 1
                while !used.insert(name).inserted {
                    name = "\(variable.keras2)_\(n):0"
                    n += 1
                }
                return name
            }
            checkpoint.groups.append(Checkpoint.Group(path: path, attributes: splitAttribute("weight_names", names)))
            for (variable, name) in zip(variables, names) {
                checkpoint.tensors.append(Checkpoint.Entry(name: "\(path)/\(name)", tensor: try tensor(variable.name)))
            }
        }
        checkpoint.groups.append(
            Checkpoint.Group(path: "model_weights/top_level_model_weights", attributes: splitAttribute("weight_names", [])))
        addParents(&checkpoint)
        return checkpoint
    }

    /// Keras 3: `layers/<class>/vars/<n>` beside `config.json` and `metadata.json`.
    func store(_ instances: [KerasInstance], container: KerasContainer, document: JSONValue) throws -> Checkpoint {
        var checkpoint = Checkpoint(format: "lowered")
        let metadata: JSONValue = ["keras_version": .string(KerasModel.keras3Version), "date_saved": "1980-01-01@00:00:00"]
        checkpoint.documents = [
            Checkpoint.Document(name: "metadata.json", bytes: Array(metadata.serialized(.python).utf8)),
            Checkpoint.Document(name: "config.json", bytes: Array(document.serialized(.python).utf8)),
        ]
        var names = ["vars": container.name]
        try addStore(instances, isSequential: container.isSequential, prefix: "", to: &checkpoint, names: &names)
        for (path, name) in names { checkpoint.groups.append(Checkpoint.Group(path: path, attributes: [Attribute("name", .text(name))])) }
        addParents(&checkpoint)
        return checkpoint
    }

    /// - Parameter names: the layer's name for each `vars` group.
    private func addStore(
        _ instances: [KerasInstance], isSequential: Bool, prefix: String, to checkpoint: inout Checkpoint, names: inout [String: String]
    ) throws {
        for (instance, store) in zip(instances, KerasInstance.storeNames(instances, isSequential: isSequential)) where !store.isEmpty {
            let base = "\(prefix)layers/\(store)"
            names["\(base)/vars"] = instance.spec.name
            for variable in instance.variables {
                let group = base + (variable.store.isEmpty ? "" : "/\(variable.store)") + "/vars"
                if names[group] == nil { names[group] = splitLast(group) }
                checkpoint.tensors.append(Checkpoint.Entry(name: "\(group)/\(variable.index)", tensor: try tensor(variable.name)))
            }
            // Layers of nested models that own nothing have their groups too.
            if let nested = instance.spec.container {
                var scratch = Checkpoint(format: "lowered")
                try addStore(instance.children, isSequential: nested.isSequential, prefix: base + "/", to: &scratch, names: &names)
            }
        }
    }

    /// `layers/lstm/cell/vars` to `cell`.
    private func splitLast(_ group: String) -> String { group.split(separator: "/").dropLast().last.map(String.init) ?? group }

    /// Groups for every level of every path, parents first, in the order of their names as HDF5 keeps them.
    private func addParents(_ checkpoint: inout Checkpoint) {
        var paths = Set(checkpoint.groups.map(\.path))
        for path in checkpoint.tensors.map(\.name) + checkpoint.groups.map(\.path) {
            var components = path.split(separator: "/").dropLast()
            while !components.isEmpty {
                let parent = components.joined(separator: "/")
                if paths.insert(parent).inserted { checkpoint.groups.append(Checkpoint.Group(path: parent)) }
                components = components.dropLast()
            }
        }
        checkpoint.groups.sort { $0.path.split(separator: "/").lexicographicallyPrecedes($1.path.split(separator: "/")) }
    }
}
