-- One row per read of a Device's own certificate, of Devices in scope.
select
    devices.device_no,
    reads.cell_no,
    reads.read_at,
    exists (
        from device_certificates as certificate
        where
            certificate.device_key = reads.device_key
            and certificate.cell_no = reads.cell_no
            and certificate.content = reads.content
    ) as certificate_is_in_use
from reads
join devices using (device_no)
where reads.cell_no in (select cell_no from cells where remote_party_role = 'Device')
