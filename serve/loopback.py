"""Keeps a replica on loopback where its whole node is: Serve 2.60 binds one of its ports to every interface.

The port takes calls between deployments, pickled; whoever reaches it runs code. Serve has no setting for its address.
"""

from __future__ import annotations

import ipaddress
from typing import Any


def stay_on_loopback(node_ip: str) -> None:
    """Bind this process's port for calls between deployments to loopback, if that is where its node is.

    To be called before the replica's servers start, as its constructor is.
    """
    if not ipaddress.ip_address(node_ip).is_loopback:
        return
    from ray.serve._private import replica

    bind = replica.add_port_to_grpc_server

    def bind_here(server: Any, address: str) -> Any:
        return bind(server, address.replace("[::]", node_ip))

    replica.add_port_to_grpc_server = bind_here
