import ByteIO
import FormatKit
import JSON
import ModelIR

/// Turns what holds no tensors (epochs, hyperparameters, an optimizer's groups) into attributes: scalars typed, everything else as JSON.
struct PickleAttributes {
    let machine: PickleMachine
    let limits: Limits

    func attribute(_ value: PickleValue) throws -> AttributeValue {
        func number(_ dtype: DType, _ bytes: [UInt8]) -> AttributeValue { .numbers(.init(dtype: dtype, shape: [], bytes: bytes)) }
        switch value {
        case .none: return .null(nil)
        case .bool(let bool): return number(.bool, [bool ? 1 : 0])
        case .int(let int): return number(.i64, withUnsafeBytes(of: int.littleEndian) { Array($0) })
        case .double(let double): return number(.f64, withUnsafeBytes(of: double.bitPattern.littleEndian) { Array($0) })
        case .text(let text): return .text(text)
        case .bytes(let bytes): return .numbers(.init(dtype: .u8, shape: [bytes.count], bytes: bytes))
        default:
            var budget = limits.objectCount
            return .text(try json(value, budget: &budget).serialized())
        }
    }

    /// Containers are without cycles and not too deep, as was checked before; but shared ones may add up to more than there is.
    private func json(_ value: PickleValue, budget: inout Int) throws -> JSONValue {
        budget -= 1
        guard budget > 0 else { throw torchError("too-large", "P6", expected: "at most \(limits.objectCount) values in an entry") }
        switch value {
        case .none: return .null
        case .bool(let bool): return .bool(bool)
        case .int(let int): return .int(Int(int))
        case .long(let bytes): return .string(integerText(bytes))
        case .double(let double): return .double(double)
        case .text(let text): return .string(text)
        case .bytes(let bytes): return .array(bytes.prefix(budget).map { .int(Int($0)) })
        case .tuple(let number), .list(let number), .set(let number):
            return .array(try machine.heap.sequences[number].map { try json($0, budget: &budget) })
        case .dict(let number):
            var object = JSONObject()
            for (key, value) in machine.heap.dictionaries[number] {
                object[try keyText(key, budget: &budget)] = try json(value, budget: &budget)
            }
            return .object(object)
        case .global, .storage, .tensor, .numpyType: return .string(value.kind)
        }
    }

    private func keyText(_ key: PickleValue, budget: inout Int) throws -> String {
        switch key {
        case .text(let text): text
        case .int(let int): "\(int)"
        default: try json(key, budget: &budget).serialized()
        }
    }

    /// An integer past 64 bits, in hexadecimal.
    private func integerText(_ bytes: [UInt8]) -> String {
        let digits = Array("0123456789abcdef")
        return "0x" + String(bytes.reversed().flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] })
    }
}
