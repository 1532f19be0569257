import JSON

@testable import Architectures

/// Arguments of operations between layers, wherever a generation keeps them: in Keras 3's configuration of the node and constants of its call,
/// among the keywords of Keras 2's calls.
enum KerasOperationArguments {
    /// What an argument may be taken for without being no argument any more, so that it is the result that tells.
    static func alternative(_ value: JSONValue) -> (label: String, value: JSONValue)? {
        switch value {
        case .bool(let flag): return (flag ? "as false" : "as true", .bool(!flag))
        case .number(let number):
            guard number.isInteger, let int = number.int else { return ("enlarged", .double(number.double * 1.5 + 0.1)) }
            // An axis before, of which there is one more often than one after.
            return int == 0 ? ("0 as 1", 1) : ("moved", .int(int - 1))
        case .array(let elements):
            if elements.count > 1, elements.allSatisfy({ $0.int != nil }), let last = elements.indices.last,
                elements[last] != elements[last - 1]
            {
                var exchanged = elements
                exchanged.swapAt(last, last - 1)
                return ("exchanged", .array(exchanged))
            }
            for (i, element) in elements.enumerated().reversed() {
                guard let other = alternative(element) else { continue }
                var changed = elements
                changed[i] = other.value
                return ("changed", .array(changed))
            }
            return nil
        case .object(let object):
            guard object["class_name"]?.string != "__keras_tensor__" else { return nil }
            for member in object.members.reversed() where member.key != "class_name" && member.key != "dtype" {
                guard let other = alternative(member.value) else { continue }
                var changed = object
                changed[member.key] = other.value
                return ("changed", .object(changed))
            }
            return nil
        case .string, .null: return nil
        }
    }

    /// The document with the arguments of every operation as `body` leaves them.
    static func mapped(_ value: JSONValue, _ body: (_ operation: String, inout JSONObject) -> Void) -> JSONValue {
        if let elements = value.array { return .array(elements.map { mapped($0, body) }) }
        guard var object = value.object else { return value }
        for member in object.members { object[member.key] = mapped(member.value, body) }
        guard let className = object["class_name"]?.string, var config = object["config"]?.object else { return .object(object) }
        if ["TFOpLambda", "SlicingOpLambda"].contains(className), let name = config["function"]?.string {
            object["inbound_nodes"] = .array((object["inbound_nodes"]?.array ?? []).map { keywords($0, name, body) })
        } else if KerasOperation.keras3Names.contains(className), object["module"]?.string?.hasPrefix("keras.src.ops") == true {
            let name = config["name"]
            config["name"] = nil
            body(className, &config)
            config["name"] = name
            object["config"] = .object(config)
            object["inbound_nodes"] = .array(
                (object["inbound_nodes"]?.array ?? []).map { node in
                    guard var call = node.object else { return node }
                    var arguments: JSONObject = [:]
                    for (i, argument) in (call["args"]?.array ?? []).enumerated() where !hasTensor(argument) {
                        arguments["argument \(i)"] = argument
                    }
                    body(className, &arguments)
                    call["args"] = .array((call["args"]?.array ?? []).enumerated().map { arguments["argument \($0)"] ?? $1 })
                    return .object(call)
                })
        }
        return .object(object)
    }

    private static func hasTensor(_ value: JSONValue) -> Bool {
        value["class_name"]?.string == "__keras_tensor__" || (value.array ?? []).contains(where: hasTensor)
    }

    /// `[layer, node, tensor, keywords]`, or a list of such. Tensors among the keywords are lists like these.
    private static func keywords(_ node: JSONValue, _ name: String, _ body: (String, inout JSONObject) -> Void) -> JSONValue {
        guard var entry = node.array else { return node }
        guard entry.first?.string != nil else { return .array(entry.map { keywords($0, name, body) }) }
        guard entry.count == 4, let all = entry[3].object else { return node }
        var arguments: JSONObject = [:]
        for member in all.members where KerasTensorReference(member.value) == nil && member.key != "name" {
            arguments[member.key] = member.value
        }
        body(name, &arguments)
        var changed = all
        for member in arguments.members { changed[member.key] = member.value }
        entry[3] = .object(changed)
        return .array(entry)
    }
}
