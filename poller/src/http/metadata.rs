//! The table of cloud metadata services: addresses at which a machine of a cloud gets its credentials, by asking.
//!
//! Many lie in private ranges, which [`Guard::local`](super::Guard::local) opens, and some in link-local ones, which an operator may
//! allow for another reason. So none is opened by a range or a wider network, only by its exact address among the allowed ones.
//! The addresses of name and time servers beside them are in the table too: no HTTP is spoken there.

use std::net::IpAddr;

use ipnet::IpNet;

/// Address, operator, source.
#[rustfmt::skip]
const SERVICES: &[(&str, &str, &str)] = &[
    ("169.254.169.254", "AWS, Google Cloud, Azure, Oracle, DigitalOcean, Hetzner, OpenStack and others", "https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-data-retrieval.html"),
    ("fd00:ec2::254", "AWS", "https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-data-retrieval.html"),
    ("169.254.170.2", "Amazon ECS, credentials of tasks", "https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-iam-roles.html"),
    ("169.254.170.23", "Amazon EKS, Pod Identity", "https://docs.aws.amazon.com/eks/latest/userguide/pod-id-how-it-works.html"),
    ("fd00:ec2::23", "Amazon EKS, Pod Identity", "https://docs.aws.amazon.com/eks/latest/userguide/pod-id-how-it-works.html"),
    ("169.254.169.253", "AWS, name server", "https://docs.aws.amazon.com/vpc/latest/userguide/AmazonDNS-concepts.html"),
    ("fd00:ec2::253", "AWS, name server", "https://docs.aws.amazon.com/vpc/latest/userguide/AmazonDNS-concepts.html"),
    ("169.254.169.123", "AWS, time server", "https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/configure-ec2-ntp.html"),
    ("fd00:ec2::123", "AWS, time server", "https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/configure-ec2-ntp.html"),
    ("fd20:ce::254", "Google Cloud", "https://cloud.google.com/compute/docs/metadata/querying-metadata"),
    ("168.63.129.16", "Azure, WireServer", "https://learn.microsoft.com/azure/virtual-network/what-is-ip-address-168-63-129-16"),
    ("fd00:c1::a9fe:a9fe", "Oracle Cloud", "https://github.com/oracle/oci-python-sdk/blob/master/src/oci/auth/signers/instance_principals_security_token_signer.py"),
    ("192.0.0.192", "Oracle Cloud Classic", "https://docs.oracle.com/en/cloud/iaas/compute-iaas-cloud/stcsg/retrieving-instance-metadata.html"),
    ("100.100.100.200", "Alibaba Cloud", "https://www.alibabacloud.com/help/en/ecs/user-guide/view-instance-metadata"),
    ("fd00:100::100:200", "Alibaba Cloud", "https://github.com/canonical/cloud-init/blob/main/cloudinit/sources/DataSourceAliYun.py"),
    ("169.254.42.42", "Scaleway", "https://docs.cloud-init.io/en/latest/reference/datasources/scaleway.html"),
    ("fd00:42::42", "Scaleway", "https://docs.cloud-init.io/en/latest/reference/datasources/scaleway.html"),
    ("fd00:a9fe:a9fe::1", "Akamai (Linode)", "https://docs.cloud-init.io/en/latest/reference/datasources/akamai.html"),
    ("169.254.0.23", "Tencent Cloud", "https://www.tencentcloud.com/document/product/213/4934"),
    ("100.96.0.96", "Volcano Engine (Volcengine)", "https://github.com/volcengine/cello"),
    ("100.80.80.80", "UCloud", "https://docs.ucloud.cn/uhost/guide/metadata/metadata-server"),
    ("fe80::a9fe:a9fe", "OpenStack", "https://docs.openstack.org/nova/latest/user/metadata.html"),
];

/// The network of one address, if a metadata service is there.
pub(super) fn service_at(address: IpAddr) -> Option<IpNet> {
    use std::sync::LazyLock;

    static ADDRESSES: LazyLock<Vec<IpAddr>> =
        LazyLock::new(|| SERVICES.iter().filter_map(|(address, ..)| address.parse().ok()).collect());
    ADDRESSES.contains(&address).then(|| IpNet::from(address))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_service_has_an_address_and_a_source() {
        for (address, operator, source) in SERVICES {
            let address: IpAddr = address.parse().unwrap();
            assert_eq!(service_at(address), Some(IpNet::from(address)));
            assert!(!operator.is_empty() && source.starts_with("https://"), "{address}");
        }
        assert_eq!(service_at([169, 254, 169, 255].into()), None);
    }
}
