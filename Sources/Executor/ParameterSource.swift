import ModelIR

/// Where an executor finds the values of a graph's parameters.
public protocol ParameterSource: Sendable {
    /// The parameter's elements, in the shape that the graph declares; any float dtype serves a float parameter.
    /// - Throws: whatever the source has to say about a parameter that it lacks or can't read.
    func tensor(named name: String) throws -> Tensor
}

extension Dictionary: ParameterSource where Key == String, Value == Tensor {
    public func tensor(named name: String) throws -> Tensor {
        guard let tensor = self[name] else { throw GraphError("parameter '\(name)' has no value") }
        return tensor
    }
}

extension ParameterSource {
    /// The tensor, checked against the graph's declaration.
    func tensor(_ name: String, type: ConcreteType) throws -> Tensor {
        let tensor = try tensor(named: name)
        guard tensor.shape == type.shape else {
            throw GraphError("parameter '\(name)' has shape \(tensor.shape), the graph wants \(type.shape)")
        }
        guard tensor.dtype.isFloat == type.dtype.isFloat else {
            throw GraphError("parameter '\(name)' is \(tensor.dtype.rawValue), the graph wants \(type.dtype.rawValue)")
        }
        return tensor
    }
}
